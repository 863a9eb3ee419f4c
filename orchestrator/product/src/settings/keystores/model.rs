//! One keystore: where it comes from, what it is for, and its file, key and passwords.

use apim_protocol::value::Secret;

use crate::settings::read::{Spanned, refuse_placeholder};
use crate::yaml::{Mistakes, Span};

/// Where keystores come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeystoreMode {
    /// The distribution. Its private key is public: for evaluation only.
    #[default]
    Shipped,
    /// Files provided by the user.
    Provided,
    /// Created by apim-deploy, signed by an authority of the cluster.
    Issued,
}

/// What a keystore is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The certificate that every TLS port presents.
    Tls,
    /// Signs tokens and encrypts registry resources; the same on all nodes.
    Primary,
    /// Encrypts stored secrets; the same on all nodes, and never changed.
    Internal,
    /// The authorities that nodes trust.
    Truststore,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::Primary, Self::Internal, Self::Tls, Self::Truststore];

    /// Returns the inventory key.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Primary => "primary",
            Self::Internal => "internal",
            Self::Truststore => "truststore",
        }
    }

    /// Returns the table in `deployment.toml`.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::Tls => "keystore.tls",
            Self::Primary => "keystore.primary",
            Self::Internal => "keystore.internal",
            Self::Truststore => "truststore",
        }
    }
}

/// The locations of one keystore's settings, for errors found when its file is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Places {
    /// The location of the section.
    pub whole: Span,
    /// The location of `password`.
    pub password: Span,
    /// The location of `key_password`, else of `password`.
    pub key_password: Span,
    /// The location of `alias`, else of the section.
    pub alias: Span,
}

/// One keystore.
#[derive(Debug, Clone, PartialEq)]
pub struct Keystore {
    /// What the keystore is used for.
    pub purpose: Purpose,
    /// The user's file; `None`: shipped or issued.
    pub file: Option<Spanned<String>>,
    /// The user's private key file, if `file` contains certificates only.
    pub key_file: Option<Spanned<String>>,
    /// Whether the user's files are PEM, from which a keystore is created.
    pub is_pem: bool,
    /// The file name below `repository/resources/security`.
    pub file_name: String,
    /// Type of the file on the host: `JKS` or `PKCS12`.
    pub kind: &'static str,
    /// The store password.
    pub password: Secret,
    /// The alias of the key; `None` for a truststore.
    pub alias: Option<String>,
    /// The password of the key; `None` for a truststore.
    pub key_password: Option<Secret>,
    /// The locations of the settings.
    pub places: Places,
}

/// Adds an error for characters that the product does not support in a keystore password: it writes
/// these passwords unescaped into XML attributes and elements.
pub(super) fn check_password(secret: &Spanned<Secret>, what: &str, mistakes: &mut Mistakes) {
    refuse_placeholder(secret, what, mistakes);
    if let Some(sign) = secret.value.expose().chars().find(|c| "&<>\"'".contains(*c)) {
        mistakes.add_hint(
            &secret.span,
            format!("`{what}` must not contain `{sign}`"),
            "the product writes it unescaped into XML: change it with keytool",
        );
    }
}
