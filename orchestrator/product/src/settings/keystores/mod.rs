//! `apim.keystores`: shipped, provided by the user, or issued by apim-deploy. `cluster` checks the
//! contents of the files.

use apim_protocol::value::Secret;

use super::read::Section;
use crate::yaml::Span;

mod issued;
mod model;
mod provided;

pub use issued::IssuedSettings;
pub use model::{Keystore, KeystoreMode, Places, Purpose};

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
