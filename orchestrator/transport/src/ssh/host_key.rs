//! Host key verification, before any byte of authentication is sent.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};

use crate::session::text::neutral;

use super::error::SettingError;
use super::known_hosts::{Known, KnownHosts, Meaning, fingerprint, list_matches, name_of};

/// A host key that is neither pinned nor in a known_hosts file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// Display name of the host.
    pub peer: String,
    /// The host name for the known_hosts line.
    pub name: String,
    /// Key type, such as `ssh-ed25519`.
    pub algorithm: String,
    /// Fingerprint in OpenSSH's format (`SHA256:…`).
    pub fingerprint: String,
    /// The public key in the format of a known_hosts line.
    pub key: String,
    /// The known_hosts file that the key would be added to.
    pub file: PathBuf,
}

/// Why a host key was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// A different key of the same type is known.
    #[error(
        "the host key of {peer} has CHANGED: the host presented {algorithm} {shown}, but `{file}` line {line} contains {held}",
        file = .file.display()
    )]
    Changed {
        /// Display name of the host.
        peer: String,
        /// Key type.
        algorithm: String,
        /// Fingerprint of the presented key.
        shown: String,
        /// Fingerprint of the known key.
        held: String,
        /// The known_hosts file.
        file: PathBuf,
        /// Line number in the file.
        line: usize,
    },
    /// Only keys of other types are known.
    #[error("{peer} presented the host key {algorithm} {shown}, but only other key types are known: `{file}` line {line} contains {held}", file = .file.display())]
    OtherKind {
        /// Display name of the host.
        peer: String,
        /// Type of the presented key.
        algorithm: String,
        /// Fingerprint of the presented key.
        shown: String,
        /// Type and fingerprint of a known key.
        held: String,
        /// The known_hosts file.
        file: PathBuf,
        /// Line number in the file.
        line: usize,
    },
    /// The key was revoked.
    #[error("the host key of {peer} is revoked by `{file}` line {line}: {shown}", file = .file.display())]
    Revoked {
        /// Display name of the host.
        peer: String,
        /// Fingerprint of the presented key.
        shown: String,
        /// The known_hosts file.
        file: PathBuf,
        /// Line number in the file.
        line: usize,
    },
    /// The inventory pins a different key.
    #[error("{peer} presented the host key {algorithm} {shown}, but the inventory pins {pinned}")]
    NotPinned {
        /// Display name of the host.
        peer: String,
        /// Type of the presented key.
        algorithm: String,
        /// Fingerprint of the presented key.
        shown: String,
        /// The pinned keys.
        pinned: String,
    },
    /// The host certificate is invalid.
    #[error("invalid host certificate of {peer}: {why}")]
    Certificate {
        /// Display name of the host.
        peer: String,
        /// The cause.
        why: String,
    },
}

impl KeyFault {
    /// Returns what to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Changed { file, line, .. } | Self::OtherKind { file, line, .. } => format!(
                "possible man-in-the-middle attack, or the host was reinstalled; ask its administrator, compare the fingerprint on the \
                host itself, then remove line {line} of `{}`",
                file.display()
            ),
            Self::Revoked { .. } => "do not connect; ask the host's administrator why its key was revoked".to_owned(),
            Self::NotPinned { .. } => {
                "possible man-in-the-middle attack, or the host was reinstalled; compare the fingerprint on the host itself, then \
                 correct `apim_host_keys`"
                    .to_owned()
            }
            Self::Certificate { .. } => "reissue the host's certificate for this name".to_owned(),
        }
    }
}

/// Result of the verification of a host key.
#[derive(Debug)]
pub(super) enum Verdict {
    Trusted,
    Unknown(Box<UnknownKey>),
    Refused(Box<KeyFault>),
}

/// A host whose key is verified.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyTarget<'a> {
    /// Display name.
    pub(super) peer: &'a str,
    /// The name that OpenSSH would look up.
    pub(super) host: &'a str,
    pub(super) port: u16,
}

/// Trusted keys of one host: pins of the inventory, or else lines of known_hosts files.
#[derive(Debug)]
pub(super) struct Trust {
    peer: String,
    host: String,
    name: String,
    pins: Vec<Pin>,
    lines: Vec<Known>,
    /// Lines for the name without the port, which OpenSSH accepts if no line contains the
    /// port.
    plain: Vec<Known>,
    learn_to: PathBuf,
}

#[derive(Debug)]
enum Pin {
    Key(Box<PublicKey>),
    Fingerprint(String),
}

impl Trust {
    /// Collects the trusted keys of `target`.
    ///
    /// # Errors
    /// The first pin that cannot be parsed.
    pub(super) fn new(
        target: KeyTarget<'_>,
        pinned: &[String],
        known: &KnownHosts,
        learn_to: &Path,
    ) -> Result<Self, SettingError> {
        let KeyTarget { peer, host, port } = target;
        let name = name_of(host, port);
        Ok(Self {
            peer: peer.to_owned(),
            host: host.to_lowercase(),
            pins: pinned.iter().map(|text| read_pin(text, peer)).collect::<Result<_, _>>()?,
            lines: known.lines_for(&name),
            plain: if port == 22 { Vec::new() } else { known.lines_for(&host.to_lowercase()) },
            name,
            learn_to: learn_to.to_owned(),
        })
    }

    /// Returns whether a key or authority of the host is known, so that its key need not be fetched
    /// first.
    pub(super) fn has_known_key(&self) -> bool {
        !self.pins.is_empty() || self.lines.iter().any(|line| line.meaning != Meaning::Revoked)
    }

    /// Returns the host key algorithms to offer, those of known keys first.
    pub(super) fn key_algorithms(&self) -> Vec<Algorithm> {
        let known = self
            .pins
            .iter()
            .filter_map(|pin| match pin {
                Pin::Key(key) => Some(key.as_ref()),
                Pin::Fingerprint(_) => None,
            })
            .chain(self.lines.iter().filter(|line| line.meaning == Meaning::Host).map(|line| &line.key))
            .map(|key| kind(&key.algorithm()))
            .collect::<Vec<_>>();
        let mut order = default_algorithms();
        order.sort_by_key(|algorithm| !known.contains(&kind(algorithm)));
        order
    }

    /// Returns the host certificate algorithms to offer: none unless an authority is known for the
    /// host.
    pub(super) fn certificate_algorithms(&self) -> Vec<Algorithm> {
        let offer = self.pins.is_empty() && self.lines.iter().any(|line| line.meaning == Meaning::Authority);
        if offer { default_algorithms() } else { Vec::new() }
    }

    /// Verifies the presented key.
    pub(super) fn verify(&self, shown: &PublicKeyOrCertificate) -> Verdict {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.verify_key(key),
            PublicKeyOrCertificate::Certificate(certificate) => self.verify_certificate(certificate),
        }
    }

    fn verify_key(&self, key: &PublicKey) -> Verdict {
        let (algorithm, shown) = (kind(&key.algorithm()), fingerprint(key));
        if let Some(line) = self.line_of(Meaning::Revoked, key) {
            return refuse(KeyFault::Revoked {
                peer: self.peer.clone(),
                shown,
                file: line.file.to_path_buf(),
                line: line.line,
            });
        }
        if !self.pins.is_empty() {
            let fits = |pin: &Pin| match pin {
                Pin::Key(pinned) => pinned.key_data() == key.key_data(),
                Pin::Fingerprint(pinned) => *pinned == shown,
            };
            if self.pins.iter().any(fits) {
                return Verdict::Trusted;
            }
            let pinned = self.pins.iter().map(Pin::show).collect::<Vec<_>>().join(" or ");
            return refuse(KeyFault::NotPinned { peer: self.peer.clone(), algorithm, shown, pinned });
        }
        if self.line_of(Meaning::Host, key).is_some() {
            return Verdict::Trusted;
        }
        let mut hosts = self.lines.iter().filter(|line| line.meaning == Meaning::Host);
        if let Some(line) = hosts.clone().find(|line| kind(&line.key.algorithm()) == algorithm) {
            return refuse(KeyFault::Changed {
                peer: self.peer.clone(),
                algorithm,
                shown,
                held: line.fingerprint(),
                file: line.file.to_path_buf(),
                line: line.line,
            });
        }
        if let Some(line) = hosts.next() {
            return refuse(KeyFault::OtherKind {
                peer: self.peer.clone(),
                algorithm,
                shown,
                held: format!("{} {}", kind(&line.key.algorithm()), line.fingerprint()),
                file: line.file.to_path_buf(),
                line: line.line,
            });
        }
        Verdict::Unknown(Box::new(UnknownKey {
            peer: self.peer.clone(),
            name: self.name.clone(),
            algorithm,
            fingerprint: shown,
            key: key.to_openssh().unwrap_or_default(),
            file: self.learn_to.clone(),
        }))
    }

    fn line_of(&self, meaning: Meaning, key: &PublicKey) -> Option<&Known> {
        self.lines
            .iter()
            .chain(&self.plain)
            .find(|line| line.meaning == meaning && line.key.key_data() == key.key_data())
    }

    fn verify_certificate(&self, certificate: &Certificate) -> Verdict {
        let fault = |why: String| refuse(KeyFault::Certificate { peer: self.peer.clone(), why });
        let own = PublicKey::new(certificate.public_key().clone(), "");
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        if let Some(line) =
            self.line_of(Meaning::Revoked, &own).or_else(|| self.line_of(Meaning::Revoked, &authority))
        {
            return fault(format!("`{}` line {} revokes it", line.file.display(), line.line));
        }
        if certificate.cert_type() != CertType::Host {
            return fault("not a host certificate".to_owned());
        }
        if self.line_of(Meaning::Authority, &authority).is_none() {
            return fault(format!("unknown authority {} for this host", fingerprint(&authority)));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if let Err(error) = certificate.validate_at(now, [&authority.fingerprint(HashAlg::Sha256)]) {
            return fault(format!(
                "{error} (valid from {} to {})",
                certificate.valid_after(),
                certificate.valid_before()
            ));
        }
        if !certificate.critical_options().is_empty() {
            return fault("unsupported critical options".to_owned());
        }
        let principals = certificate.valid_principals();
        if !list_matches(principals.iter().map(String::as_str), &self.host) {
            let names = neutral(&principals.join(", "), 500);
            return fault(format!("issued for `{names}`, not for `{}`", self.host));
        }
        Verdict::Trusted
    }
}

impl Pin {
    fn show(&self) -> String {
        match self {
            Self::Key(key) => format!("{} {}", kind(&key.algorithm()), fingerprint(key)),
            Self::Fingerprint(text) => text.clone(),
        }
    }
}

fn refuse(fault: KeyFault) -> Verdict {
    Verdict::Refused(Box::new(fault))
}

fn read_pin(text: &str, peer: &str) -> Result<Pin, SettingError> {
    let text = text.trim();
    if text.starts_with("SHA256:") && text.len() == 50 {
        return Ok(Pin::Fingerprint(text.to_owned()));
    }
    PublicKey::from_openssh(text)
        .map(|key| Pin::Key(Box::new(key)))
        .map_err(|_| SettingError::Pin { pin: text.chars().take(100).collect(), peer: peer.to_owned() })
}

/// Returns the key type: the same for RSA keys regardless of the signature hash.
fn kind(algorithm: &Algorithm) -> String {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
        other => other.as_str().to_owned(),
    }
}

/// Accepted algorithms, in order of preference; no SHA-1 signatures.
fn default_algorithms() -> Vec<Algorithm> {
    vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ]
}
