//! Types and constants of certificate decisions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use apim_protocol::value::Secret;

use crate::cluster::Cluster;
use crate::keystore::{self, Authority, Certificate, PrivateKey};
use crate::settings::keystores::IssuedSettings;

/// The alias of the cluster's authority in truststores.
pub const AUTHORITY_ALIAS: &str = "cluster_ca";
/// The truststore alias of the token signer's certificate (documentation, "configuring keystores").
pub const SIGNER_ALIAS: &str = "gateway_certificate_alias";
/// The name of the shared certificate.
pub const PRIMARY: &str = "primary";

/// A certificate that the cluster needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredCertificate {
    /// Its name in the certificate store; valid as a file name.
    pub name: String,
    /// For display, such as `gateway gw1`.
    pub words: String,
    /// The subject's common name.
    pub common_name: String,
    /// The exact set of alternative names.
    pub names: Vec<String>,
    /// The intended use.
    pub purpose: keystore::Purpose,
}

/// Existing keys and certificates.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The authority.
    pub authority: Option<Authority>,
    /// Certificates by name.
    pub certificates: BTreeMap<String, Certificate>,
    /// Keys by the name of their certificate.
    pub keys: BTreeMap<String, PrivateKey>,
}

/// A certificate that must be issued, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCertificate {
    /// The certificate.
    pub required: RequiredCertificate,
    /// The reason.
    pub why: DueReason,
}

/// Why a certificate must be issued. Displayed as a sentence fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueReason {
    /// No certificate is stored.
    NotIssued,
    /// The certificate's private key is missing.
    NoKey,
    /// The private key is of another certificate.
    OtherKey,
    /// The certificate was signed by another authority.
    OtherAuthority,
    /// The alternative names differ from the required ones.
    Names {
        /// Required names that it does not contain.
        missing: Vec<String>,
        /// Names that are not required.
        extra: Vec<String>,
    },
    /// The certificate expired.
    Expired,
    /// The certificate expires in this many days.
    ExpiresIn(i64),
}

impl fmt::Display for DueReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotIssued => f.write_str("not issued yet"),
            Self::NoKey => f.write_str("its private key is missing"),
            Self::OtherKey => f.write_str("its private key does not match"),
            Self::OtherAuthority => f.write_str("it was signed by another authority"),
            Self::Names { missing, extra } => {
                let differences = [("lacks", missing), ("has extra names", extra)];
                let differences: Vec<String> = differences
                    .iter()
                    .filter(|(_, names)| !names.is_empty())
                    .map(|(what, names)| format!("{what} {}", names.join(", ")))
                    .collect();
                write!(f, "it {}", differences.join(" and "))
            }
            Self::Expired => f.write_str("it expired"),
            Self::ExpiresIn(days) => write!(f, "it expires in {days} days"),
        }
    }
}

/// Trusted certificates from outside the cluster: the shipped truststore, and the user's
/// certificates.
#[derive(Debug, Clone, Default)]
pub struct ExternalTrust {
    /// The shipped JKS truststore by product version, with its password.
    pub shipped: BTreeMap<String, Arc<[u8]>>,
    /// Certificates of the user.
    pub named: Vec<Certificate>,
}

/// Returns the password of a shipped truststore.
#[must_use]
pub fn shipped_password() -> Secret {
    Secret::new("wso2carbon")
}

/// Returns the settings for issuing; `None` in other modes.
#[must_use]
pub fn settings(cluster: &Cluster) -> Option<&IssuedSettings> {
    let first = cluster.nodes().first()?;
    first.settings.keystores.issued.as_ref()
}
