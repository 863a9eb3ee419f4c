//! `apim.keystores`: shipped, provided by the user, or issued by apim-deploy. `cluster` checks the
//! contents of the files.

use apim_protocol::value::Secret;

use super::read::{Section, Spanned};
use crate::yaml::{Mistakes, Span};

mod issued;
mod provided;

pub use issued::IssuedSettings;

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

/// `apim.keystores`.
#[derive(Debug, Clone, PartialEq)]
pub struct Keystores {
    /// Where the keystores come from.
    pub mode: KeystoreMode,
    /// The keystores to write into the configuration.
    pub stores: Vec<Keystore>,
    /// Settings of the mode `issued`.
    pub issued: Option<IssuedSettings>,
    /// Whether missing names and untrusted certificates are warnings instead of errors.
    pub tolerates_mismatch: bool,
    /// The location of the section.
    pub span: Span,
}

impl Keystores {
    /// Returns the keystores of every distribution (carbon-kernel, `repository/resources/security`;
    /// both files are JKS in 4.5 to 4.7).
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

    /// Returns the keystore for a purpose. The product uses the primary one for those that are not
    /// set.
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
                format!("`apim.keystores.mode` is `{word}`, but keystores are set"),
                "set `mode: provided`, or remove them",
            );
        }
        if mode == KeystoreMode::Provided {
            for (purpose, why) in [
                (Purpose::Tls, "the keystore with the certificate of every TLS port"),
                (
                    Purpose::Truststore,
                    "it must contain the certificates of all nodes and the issuer of the load balancer's certificate",
                ),
            ] {
                section.missing(purpose.key(), why);
            }
        }
        provided::reject_name_clashes(&stores, section.mistakes);
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

/// Adds an error for characters that the product does not support in a keystore password: it writes
/// these passwords unescaped into XML attributes and elements.
fn check_password(secret: &Spanned<Secret>, what: &str, mistakes: &mut Mistakes) {
    super::refuse_placeholder(secret, what, mistakes);
    if let Some(sign) = secret.value.expose().chars().find(|c| "&<>\"'".contains(*c)) {
        mistakes.add_hint(
            &secret.span,
            format!("`{what}` must not contain `{sign}`"),
            "the product writes it unescaped into XML: change it with keytool",
        );
    }
}
