//! `apim.keystores`: the shipped ones, files of the user, or ones that we issue. What files hold is `cluster`'s to check.

use apim_protocol::value::Secret;

use super::read::{At, Section};
use crate::yaml::{Mistakes, Span};

mod issued;
mod provided;

pub use issued::IssuedSettings;

/// How keystores come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeystoreMode {
    /// Those in the distribution (a key that everybody has: for trying out only).
    #[default]
    Shipped,
    /// Files of the user.
    Provided,
    /// Made here, signed by an authority of the cluster.
    Issued,
}

/// What a keystore is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Presented by every TLS port.
    Tls,
    /// Signs tokens, encrypts registry resources; the same on all nodes.
    Primary,
    /// Encrypts stored secrets; the same on all nodes, for ever.
    Internal,
    /// What the node trusts.
    Truststore,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::Primary, Self::Internal, Self::Tls, Self::Truststore];

    /// Returns the key in the settings.
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

/// The places of one keystore's settings, for what is found wrong when its file is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Places {
    /// The whole.
    pub whole: Span,
    /// `password`
    pub password: Span,
    /// `key_password`, else `password`.
    pub key_password: Span,
    /// `alias`, else the whole.
    pub alias: Span,
}

/// One keystore.
#[derive(Debug, Clone, PartialEq)]
pub struct Keystore {
    /// What for.
    pub purpose: Purpose,
    /// The user's file; `None` for a shipped or issued one.
    pub file: Option<At<String>>,
    /// The user's file of the private key, where `file` holds certificates only.
    pub key_file: Option<At<String>>,
    /// Whether the user's files are PEM, which a keystore is made from.
    pub is_pem: bool,
    /// Its name below `repository/resources/security`.
    pub file_name: String,
    /// `JKS` or `PKCS12`, on the host.
    pub kind: &'static str,
    /// Opens it.
    pub password: Secret,
    /// The key's alias (not of a truststore).
    pub alias: Option<String>,
    /// Opens the key (not of a truststore).
    pub key_password: Option<Secret>,
    /// Where all this was written.
    pub places: Places,
}

/// `apim.keystores`.
#[derive(Debug, Clone, PartialEq)]
pub struct Keystores {
    /// Where they come from.
    pub mode: KeystoreMode,
    /// Those to be written into the configuration.
    pub stores: Vec<Keystore>,
    /// How they are issued.
    pub issued: Option<IssuedSettings>,
    /// Whether names that a certificate lacks, and certificates that a peer does not trust, are only told.
    pub tolerates_mismatch: bool,
    /// Where the settings stand.
    pub span: Span,
}

impl Keystores {
    /// Returns what every distribution ships (carbon-kernel, `repository/resources/security`; both files are JKS in 4.5 to 4.7).
    #[must_use]
    pub fn shipped(span: Span) -> Self {
        let password = || Secret::new("wso2carbon");
        let store = |purpose, file_name: &str, alias: Option<&str>| Keystore {
            purpose,
            file: None,
            key_file: None,
            is_pem: false,
            file_name: file_name.to_owned(),
            kind: "JKS",
            password: password(),
            alias: alias.map(str::to_owned),
            key_password: alias.map(|_| password()),
            places: Places {
                whole: span.clone(),
                password: span.clone(),
                key_password: span.clone(),
                alias: span.clone(),
            },
        };
        let stores = vec![
            store(Purpose::Tls, "wso2carbon.jks", Some("wso2carbon")),
            store(Purpose::Truststore, "client-truststore.jks", None),
        ];
        Self { mode: KeystoreMode::Shipped, stores, issued: None, tolerates_mismatch: false, span }
    }

    /// Returns the keystore for a purpose; the product takes the primary one for what is not given.
    #[must_use]
    pub fn of(&self, purpose: Purpose) -> Option<&Keystore> {
        self.stores.iter().find(|store| store.purpose == purpose)
    }

    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let span = section.span().clone();
        let words = [
            ("shipped", KeystoreMode::Shipped),
            ("provided", KeystoreMode::Provided),
            ("issued", KeystoreMode::Issued),
        ];
        let mode = section.word("mode", &words);
        let checks = [("error", false), ("warn", true)];
        let tolerates_mismatch = section.word("on_mismatch", &checks).unwrap_or_default();
        let (stores, given) = provided::read_all(&mut section);
        let issued = issued::read(&mut section, mode == Some(KeystoreMode::Issued));
        let mode = mode.unwrap_or(if given { KeystoreMode::Provided } else { KeystoreMode::Shipped });
        if mode != KeystoreMode::Provided && given {
            let word = words.iter().find(|(_, known)| *known == mode).map_or("", |(word, _)| word);
            section.mistakes.add_hint(
                &span,
                format!("`apim.keystores.mode` is `{word}`, yet keystores are given"),
                "say `mode: provided`, or drop them",
            );
        }
        if mode == KeystoreMode::Provided {
            for (purpose, why) in [
                (Purpose::Tls, "the keystore whose certificate every port shows"),
                (
                    Purpose::Truststore,
                    "it must hold the certificates of all nodes, and the load balancer's issuer",
                ),
            ] {
                section.missing(purpose.key(), why);
            }
        }
        provided::one_content_per_name(&stores, section.mistakes);
        section.finish();
        match (mode, issued) {
            (KeystoreMode::Issued, Some((issued, stores))) => {
                Self { mode, stores, issued: Some(issued), tolerates_mismatch, span }
            }
            (KeystoreMode::Shipped | KeystoreMode::Issued, _) => Self::shipped(span),
            (KeystoreMode::Provided, _) => Self { mode, stores, issued: None, tolerates_mismatch, span },
        }
    }
}

/// Notes what the product cannot have in a password: these end in XML attributes as well as elements, where it escapes nothing.
fn check_password(secret: &At<Secret>, what: &str, mistakes: &mut Mistakes) {
    super::refuse_placeholder(secret, what, mistakes);
    if let Some(sign) = secret.value.expose().chars().find(|c| "&<>\"'".contains(*c)) {
        mistakes.add_hint(
            &secret.span,
            format!("`{what}` must not hold `{sign}`"),
            "the product puts it into XML as it is: change it with keytool",
        );
    }
}
