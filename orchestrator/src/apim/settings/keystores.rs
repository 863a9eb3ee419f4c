//! `apim.keystores`: the shipped ones, or files of the user.

use apim_agent::value::Secret;

use super::read::{At, Section};
use crate::yaml::Span;

/// How keystores come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeystoreMode {
    /// Those in the distribution (a key that everybody has: for trying out only).
    #[default]
    Shipped,
    /// Files of the user.
    Provided,
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

/// One keystore.
#[derive(Debug, Clone, PartialEq)]
pub struct Keystore {
    /// What for.
    pub purpose: Purpose,
    /// The user's file; `None` for a shipped one.
    pub file: Option<At<String>>,
    /// Its name below `repository/resources/security`.
    pub file_name: String,
    /// `JKS` or `PKCS12`.
    pub kind: &'static str,
    /// Opens it.
    pub password: Secret,
    /// The key's alias (not of a truststore).
    pub alias: Option<String>,
    /// Opens the key (not of a truststore).
    pub key_password: Option<Secret>,
}

/// `apim.keystores`.
#[derive(Debug, Clone, PartialEq)]
pub struct Keystores {
    /// Where they come from.
    pub mode: KeystoreMode,
    /// Those to be written into the configuration.
    pub stores: Vec<Keystore>,
    /// Where the settings stand.
    pub span: Span,
}

impl Keystores {
    /// Returns what every distribution ships (carbon-kernel, `repository/resources/security`; both files are JKS in 4.5 to 4.7).
    #[must_use]
    pub fn shipped(span: Span) -> Self {
        let password = || Secret::new("wso2carbon");
        let stores = vec![
            Keystore {
                purpose: Purpose::Tls,
                file: None,
                file_name: "wso2carbon.jks".to_owned(),
                kind: "JKS",
                password: password(),
                alias: Some("wso2carbon".to_owned()),
                key_password: Some(password()),
            },
            Keystore {
                purpose: Purpose::Truststore,
                file: None,
                file_name: "client-truststore.jks".to_owned(),
                kind: "JKS",
                password: password(),
                alias: None,
                key_password: None,
            },
        ];
        Self { mode: KeystoreMode::Shipped, stores, span }
    }

    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let span = section.span().clone();
        let words = [("shipped", KeystoreMode::Shipped), ("provided", KeystoreMode::Provided)];
        let mode = section.word("mode", &words);
        let mut stores = Vec::new();
        for purpose in Purpose::ALL {
            if let Some(part) = section.section(purpose.key())
                && let Some(store) = keystore(purpose, part)
            {
                stores.push(store);
            }
        }
        let mode =
            mode.unwrap_or(if stores.is_empty() { KeystoreMode::Shipped } else { KeystoreMode::Provided });
        if mode == KeystoreMode::Shipped && !stores.is_empty() {
            section.mistakes.add_hint(
                &span,
                "`apim.keystores.mode` is `shipped`, yet keystores are given",
                "say `mode: provided`, or drop them",
            );
        }
        let has = |purpose| stores.iter().any(|s: &Keystore| s.purpose == purpose);
        if mode == KeystoreMode::Provided {
            for (purpose, why) in [
                (Purpose::Tls, "the keystore whose certificate every port shows"),
                (
                    Purpose::Truststore,
                    "it must hold the certificates of all nodes, and the load balancer's issuer",
                ),
            ] {
                if !has(purpose) {
                    section.missing(purpose.key(), why);
                }
            }
        }
        one_content_per_name(&stores, section.mistakes);
        section.finish();
        match mode {
            KeystoreMode::Shipped => Self::shipped(span),
            KeystoreMode::Provided => Self { mode, stores, span },
        }
    }
}

fn one_content_per_name(stores: &[Keystore], mistakes: &mut crate::yaml::Mistakes) {
    for (at, store) in stores.iter().enumerate() {
        let clash = stores.iter().take(at).find(|other| {
            other.file_name == store.file_name
                && other.file.as_ref().map(|f| &f.value) != store.file.as_ref().map(|f| &f.value)
        });
        if let (Some(_), Some(file)) = (clash, &store.file) {
            let what = format!("two keystores would both be called `{}` on the host", store.file_name);
            mistakes.add_hint(&file.span, what, "rename one of the files");
        }
    }
}

fn keystore(purpose: Purpose, mut part: Section<'_, '_>) -> Option<Keystore> {
    let file = part.text("file");
    let kind = part.word("type", &[("JKS", "JKS"), ("PKCS12", "PKCS12")]);
    let password = part.secret("password");
    let alias = part.text("alias").map(|text| text.value);
    let key_password = part.secret("key_password");
    if file.is_none() {
        part.missing("file", "a path on this machine, from the inventory's folder");
    }
    if password.is_none() {
        part.missing("password", "a text, or better `!vault`, `!env` or `!file`");
    }
    for (key, secret) in [("password", &password), ("key_password", &key_password)] {
        if let Some(secret) = secret {
            super::refuse_placeholder(secret, &part.path(key), part.mistakes);
            // These end in XML attributes as well as elements, where the product escapes nothing.
            if let Some(sign) = secret.value.expose().chars().find(|c| "&<>\"'".contains(*c)) {
                let what = format!("`{}` must not hold `{sign}`", part.path(key));
                part.mistakes.add_hint(
                    &secret.span,
                    what,
                    "the product puts it into XML as it is: change it with keytool",
                );
            }
        }
    }
    let is_truststore = purpose == Purpose::Truststore;
    if is_truststore && (alias.is_some() || key_password.is_some()) {
        let span = part.span().clone();
        part.mistakes.add(&span, "a truststore has neither `alias` nor `key_password`");
    }
    if !is_truststore && alias.is_none() {
        part.missing("alias", "`keytool -list -keystore FILE` shows it");
    }
    // The product opens store and key with one password (documentation, "creating new keystores").
    if let (Some(store), Some(key)) = (&password, &key_password)
        && store.value != key.value
    {
        part.mistakes.add_hint(
            &key.span,
            format!("`{}` differs from `password`", part.path("key_password")),
            "API Manager needs both to be the same: change one with keytool",
        );
    }
    let file_name = file.as_ref().map(|f| f.value.rsplit('/').next().unwrap_or_default().to_owned());
    if let (Some(name), Some(file)) = (&file_name, &file)
        && (name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)))
    {
        let what = format!(
            "`{}`: `{name}` is no file name for a host (letters, digits, `-`, `_`, `.`)",
            part.path("file")
        );
        part.mistakes.add(&file.span, what);
    }
    let kind = kind.unwrap_or_else(|| match &file_name {
        Some(name) if name.ends_with(".p12") || name.ends_with(".pfx") => "PKCS12",
        _ => "JKS",
    });
    part.finish();
    let password = password?.value;
    let key_password = (!is_truststore).then(|| key_password.map_or_else(|| password.clone(), |k| k.value));
    Some(Keystore { purpose, file: Some(file?), file_name: file_name?, kind, password, alias, key_password })
}
