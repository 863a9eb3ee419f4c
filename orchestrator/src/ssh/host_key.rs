//! Is this the host it says it is? Every host key is judged here, before any byte of authentication.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};

use crate::session::text::neutral;

use super::known_hosts::{Known, KnownHosts, Meaning, fingerprint, list_matches, name_of};

/// A host key that nobody vouched for yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// Who showed it, in words.
    pub peer: String,
    /// The name under which a known_hosts file would hold it.
    pub name: String,
    /// Its kind, such as `ssh-ed25519`.
    pub algorithm: String,
    /// Its fingerprint as OpenSSH shows it.
    pub fingerprint: String,
    /// The key itself, as in a known_hosts line.
    pub key: String,
    /// The known_hosts file that it would be written to.
    pub file: PathBuf,
}

/// Why a host key was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Another key of the same kind is known.
    #[error(
        "the host key of {peer} has CHANGED: it shows {algorithm} {shown}, but `{file}` line {line} holds {held}",
        file = .file.display()
    )]
    Changed {
        /// Who.
        peer: String,
        /// Kind of key.
        algorithm: String,
        /// Fingerprint of the key shown.
        shown: String,
        /// Fingerprint of the key known.
        held: String,
        /// The file that holds it.
        file: PathBuf,
        /// The line.
        line: usize,
    },
    /// Only keys of other kinds are known.
    #[error("{peer} shows a host key of a kind that is not known for it: {algorithm} {shown}; `{file}` line {line} holds {held}", file = .file.display())]
    OtherKind {
        /// Who.
        peer: String,
        /// Kind of the key shown.
        algorithm: String,
        /// Fingerprint of the key shown.
        shown: String,
        /// Kind and fingerprint of a key known.
        held: String,
        /// The file that holds it.
        file: PathBuf,
        /// The line.
        line: usize,
    },
    /// The key was revoked.
    #[error("the host key that {peer} shows is revoked by `{file}` line {line}: {shown}", file = .file.display())]
    Revoked {
        /// Who.
        peer: String,
        /// Fingerprint of the key shown.
        shown: String,
        /// The file that says so.
        file: PathBuf,
        /// The line.
        line: usize,
    },
    /// The inventory pins another key.
    #[error("{peer} shows the host key {algorithm} {shown}, but the inventory pins {pinned}")]
    NotPinned {
        /// Who.
        peer: String,
        /// Kind of the key shown.
        algorithm: String,
        /// Fingerprint of the key shown.
        shown: String,
        /// What is pinned.
        pinned: String,
    },
    /// The host shows a certificate that cannot be accepted.
    #[error("the host certificate of {peer} cannot be accepted: {why}")]
    Certificate {
        /// Who.
        peer: String,
        /// Why.
        why: String,
    },
}

impl KeyFault {
    /// Returns what to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Changed { file, line, .. } | Self::OtherKind { file, line, .. } => format!(
                "somebody may stand in between, or the host was installed anew; ask who runs it, compare the fingerprint on the \
                 host itself, then remove line {line} of `{}`",
                file.display()
            ),
            Self::Revoked { .. } => "do not connect; ask who runs the host why its key was revoked".to_owned(),
            Self::NotPinned { .. } => {
                "somebody may stand in between, or the host was installed anew; compare the fingerprint on the host itself, then \
                 correct `apim_host_keys`"
                    .to_owned()
            }
            Self::Certificate { .. } => "have the host's certificate issued anew for this name".to_owned(),
        }
    }
}

/// The judgement over a host key.
#[derive(Debug)]
pub(super) enum Verdict {
    Trusted,
    Unknown(Box<UnknownKey>),
    Refused(Box<KeyFault>),
}

/// What vouches for one host: pins of the inventory, or else lines of known_hosts files.
#[derive(Debug)]
pub(super) struct Trust {
    peer: String,
    host: String,
    name: String,
    pins: Vec<Pin>,
    lines: Vec<Known>,
    /// Lines of the plain name, which OpenSSH accepts for another port when the name with the port is not known.
    plain: Vec<Known>,
    learn_to: PathBuf,
}

#[derive(Debug)]
enum Pin {
    Key(Box<PublicKey>),
    Fingerprint(String),
}

impl Trust {
    /// Returns what vouches for `host` (the name that OpenSSH would look up) at `port`.
    ///
    /// # Errors
    /// When a pinned key cannot be read: the text of it.
    pub(super) fn new(
        peer: &str,
        (host, port): (&str, u16),
        pinned: &[String],
        known: &KnownHosts,
        learn_to: &Path,
    ) -> Result<Self, String> {
        let name = name_of(host, port);
        Ok(Self {
            peer: peer.to_owned(),
            host: host.to_lowercase(),
            pins: pinned.iter().map(|text| read_pin(text)).collect::<Result<_, _>>()?,
            lines: known.lines_for(&name),
            plain: if port == 22 { Vec::new() } else { known.lines_for(&host.to_lowercase()) },
            name,
            learn_to: learn_to.to_owned(),
        })
    }

    /// Says whether anything vouches for the host, so that it need not be asked for its key first.
    pub(super) fn knows_something(&self) -> bool {
        !self.pins.is_empty() || self.lines.iter().any(|line| line.meaning != Meaning::Revoked)
    }

    /// Returns the kinds of host key to ask for, those already known first.
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

    /// Returns the kinds of host certificate to ask for: none unless an authority is known for the host.
    pub(super) fn certificate_algorithms(&self) -> Vec<Algorithm> {
        let asks = self.pins.is_empty() && self.lines.iter().any(|line| line.meaning == Meaning::Authority);
        if asks { default_algorithms() } else { Vec::new() }
    }

    /// Judges the key that the host shows.
    pub(super) fn judge(&self, shown: &PublicKeyOrCertificate) -> Verdict {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.judge_key(key),
            PublicKeyOrCertificate::Certificate(certificate) => self.judge_certificate(certificate),
        }
    }

    fn judge_key(&self, key: &PublicKey) -> Verdict {
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

    fn judge_certificate(&self, certificate: &Certificate) -> Verdict {
        let fault = |why: String| refuse(KeyFault::Certificate { peer: self.peer.clone(), why });
        let own = PublicKey::new(certificate.public_key().clone(), "");
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        if let Some(line) =
            self.line_of(Meaning::Revoked, &own).or_else(|| self.line_of(Meaning::Revoked, &authority))
        {
            return fault(format!("`{}` line {} revokes it", line.file.display(), line.line));
        }
        if certificate.cert_type() != CertType::Host {
            return fault("it is not a certificate for hosts".to_owned());
        }
        if self.line_of(Meaning::Authority, &authority).is_none() {
            return fault(format!("its authority {} is not known for this host", fingerprint(&authority)));
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
            return fault("it holds options that are not understood".to_owned());
        }
        let principals = certificate.valid_principals();
        if !list_matches(principals.iter().map(String::as_str), &self.host) {
            let names = neutral(&principals.join(", "), 500);
            return fault(format!("it is for `{names}`, not for `{}`", self.host));
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

fn read_pin(text: &str) -> Result<Pin, String> {
    let text = text.trim();
    if text.starts_with("SHA256:") && text.len() == 50 {
        return Ok(Pin::Fingerprint(text.to_owned()));
    }
    PublicKey::from_openssh(text)
        .map(|key| Pin::Key(Box::new(key)))
        .map_err(|_| text.chars().take(100).collect())
}

/// Returns the kind of a key: an RSA key is one, whatever hash signs with it.
fn kind(algorithm: &Algorithm) -> String {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
        other => other.as_str().to_owned(),
    }
}

/// Signatures with SHA-1 are not accepted.
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
