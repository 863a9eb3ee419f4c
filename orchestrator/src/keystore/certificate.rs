//! A certificate, and what others ask of it: names, dates, uses, issuer.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use apim_protocol::value::Sha256;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::KeystoreError;

/// The kind of a certificate's public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, with its bits.
    Rsa(usize),
    /// An elliptic curve.
    Ec,
    /// Anything else.
    Other,
}

/// The extension `keyUsage`: what the key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage {
    /// Whether who does not understand the extension must refuse the certificate.
    pub critical: bool,
    /// `digitalSignature`
    pub digital_signature: bool,
    /// `keyEncipherment`
    pub key_encipherment: bool,
    /// `dataEncipherment`
    pub data_encipherment: bool,
    /// `keyCertSign`
    pub signs_certificates: bool,
}

/// A certificate that could be read.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its bytes (DER).
    pub der: Arc<[u8]>,
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The DNS names among the subject's alternative names.
    pub dns_names: Vec<String>,
    /// The addresses among them.
    pub addresses: Vec<IpAddr>,
    /// From when it holds, in seconds since 1970.
    pub not_before: i64,
    /// Until when it holds, in seconds since 1970.
    pub not_after: i64,
    /// What the key may be used for; `None`: everything.
    pub key_usage: Option<KeyUsage>,
    /// Whether servers may show it; `None`: nothing is said about it.
    pub for_servers: Option<bool>,
    /// Whether it is an authority's.
    pub is_authority: bool,
    /// The kind of its key.
    pub key: KeyKind,
    /// The digest of the whole.
    pub fingerprint: Sha256,
    pub(super) subject_der: Vec<u8>,
    pub(super) issuer_der: Vec<u8>,
    pub(super) public_key: Vec<u8>,
    pub(super) key_id: Option<Vec<u8>>,
    pub(super) common_name: Option<String>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.subject, self.fingerprint)
    }
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn parse(der: &[u8]) -> Result<Self, KeystoreError> {
        let broken = |why: String| KeystoreError::UnreadableCertificate(why);
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| broken(error.to_string()))?;
        if !rest.is_empty() {
            return Err(broken("bytes follow it".to_owned()));
        }
        let mut read = Self {
            der: der.into(),
            subject: name(&parsed.subject.to_string()),
            issuer: name(&parsed.issuer.to_string()),
            dns_names: Vec::new(),
            addresses: Vec::new(),
            not_before: parsed.validity.not_before.timestamp(),
            not_after: parsed.validity.not_after.timestamp(),
            key_usage: None,
            for_servers: None,
            is_authority: false,
            key: match parsed.public_key().parsed() {
                Ok(PublicKey::RSA(key)) => KeyKind::Rsa(key.key_size()),
                Ok(PublicKey::EC(_)) => KeyKind::Ec,
                _ => KeyKind::Other,
            },
            fingerprint: Sha256::of(der),
            subject_der: parsed.subject.as_raw().to_vec(),
            issuer_der: parsed.issuer.as_raw().to_vec(),
            public_key: parsed.public_key().raw.to_vec(),
            key_id: None,
            common_name: parsed
                .subject
                .iter_common_name()
                .next()
                .and_then(|part| part.as_str().ok())
                .map(str::to_owned),
        };
        for extension in parsed.extensions() {
            read.take(extension.parsed_extension(), extension.critical);
        }
        Ok(read)
    }

    fn take(&mut self, extension: &ParsedExtension<'_>, critical: bool) {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in &names.general_names {
                    match name {
                        GeneralName::DNSName(text) => self.dns_names.push(self::name(text)),
                        GeneralName::IPAddress(bytes) => self.addresses.extend(address(bytes)),
                        _ => {}
                    }
                }
            }
            ParsedExtension::KeyUsage(usage) => {
                self.key_usage = Some(KeyUsage {
                    critical,
                    digital_signature: usage.digital_signature(),
                    key_encipherment: usage.key_encipherment(),
                    data_encipherment: usage.data_encipherment(),
                    signs_certificates: usage.key_cert_sign(),
                });
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                self.for_servers = Some(usage.server_auth || usage.any)
            }
            ParsedExtension::BasicConstraints(basics) => self.is_authority = basics.ca,
            ParsedExtension::SubjectKeyIdentifier(id) => self.key_id = Some(id.0.to_vec()),
            _ => {}
        }
    }

    /// Says whether a client that calls `name` accepts the certificate for it: an exact name, a wildcard for one label, or an address.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        if let Ok(address) = name.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        self.dns_names.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(domain) => name
                .split_once('.')
                .is_some_and(|(first, rest)| !first.is_empty() && rest.eq_ignore_ascii_case(domain)),
            None => pattern.eq_ignore_ascii_case(name),
        })
    }

    /// Returns every name that it is for.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.dns_names.iter().cloned().chain(self.addresses.iter().map(IpAddr::to_string)).collect()
    }

    /// Returns the names for people; `no name` where there is none.
    #[must_use]
    pub fn shown_names(&self) -> String {
        let names = self.names();
        if names.is_empty() { "no name".to_owned() } else { names.join(", ") }
    }

    /// Returns for how many whole days after `now` it still holds; negative once it is over.
    #[must_use]
    pub const fn days_left(&self, now: i64) -> i64 {
        (self.not_after - now).div_euclid(86_400)
    }

    /// Says whether it signed itself, by its names.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }

    /// Returns its public key (DER).
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Returns the short name of its subject.
    #[must_use]
    pub fn common_name(&self) -> &str {
        self.common_name.as_deref().unwrap_or(&self.subject)
    }
}

/// Text of a file from elsewhere, fit for a terminal.
fn name(text: &str) -> String {
    const LONGEST: usize = 256;
    text.chars().take(LONGEST).map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
