//! `apim.keystores` in mode `issued`: settings of the cluster's certificates and of their private
//! keys.

use apim_protocol::value::Secret;

use super::model::{Keystore, Places, Purpose, check_password};
use crate::settings::read::{Section, Spanned, check_host, texts_of};
use crate::yaml::Span;

/// Minimum length of the passphrase and the store password; a JDK's tools reject shorter ones.
const SHORTEST: usize = 6;
/// Default validity of a certificate: public authorities do not issue longer ones. `apply` renews
/// them.
const VALID_DAYS: i64 = 397;
/// Default validity of the authority's certificate: ten years.
const AUTHORITY_DAYS: i64 = 3650;
/// Default number of days before its expiry that a certificate is renewed.
const RENEW_DAYS: i64 = 30;
/// Maximum length of a common name (X.520).
const LONGEST_NAME: usize = 64;

/// How certificates are issued.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuedSettings {
    /// Encrypts the private keys that are stored next to the inventory.
    pub passphrase: Spanned<Secret>,
    /// The folder that stores them; `None`: next to the inventory and named after it.
    pub folder: Option<Spanned<String>>,
    /// The common name of the cluster's authority.
    pub authority: String,
    /// Validity of a node's certificate, in days.
    pub valid_days: i64,
    /// Validity of the certificates of the authority and of the shared key, in days.
    pub authority_days: i64,
    /// Number of days before its expiry that a certificate is renewed.
    pub renew_days: i64,
    /// Additional names in this host's certificates.
    pub names: Vec<Spanned<String>>,
    /// PEM files of additional authorities that nodes trust.
    pub trust: Vec<Spanned<String>>,
    /// Whether nodes trust the public authorities in the distribution's truststore.
    pub public_authorities: bool,
}

impl IssuedSettings {
    /// Returns the part that must be the same on all hosts.
    #[must_use]
    pub fn shared(&self) -> Self {
        let nowhere = crate::yaml::Span::nowhere;
        let plain = |at: &Spanned<String>| Spanned::new(at.value.clone(), nowhere());
        Self {
            passphrase: Spanned::new(self.passphrase.value.clone(), nowhere()),
            folder: self.folder.as_ref().map(plain),
            names: Vec::new(),
            trust: self.trust.iter().map(plain).collect(),
            ..self.clone()
        }
    }
}

/// Reads the settings. In other modes their keys remain unread, so `finish` reports them as errors.
pub(super) fn read(section: &mut Section<'_, '_>, is_mode: bool) -> Option<(IssuedSettings, Vec<Keystore>)> {
    if !is_mode {
        return None;
    }
    let span = section.span().clone();
    let passphrase = section.secret("passphrase");
    let password = section.secret("password");
    check_secrets(passphrase.as_ref(), password.as_ref(), section);
    let kind = section.word("type", &[("JKS", "JKS"), ("PKCS12", "PKCS12")]).unwrap_or("JKS");
    let alias = alias(section);
    let authority = authority(section);
    let folder = section.text("folder");
    let (valid_days, authority_days, renew_days) = days(section);
    let names = names(section);
    let trust = texts_of(section, "trust");
    let public_authorities = section.flag("public_authorities", true);
    let (passphrase, password) = (passphrase?, password?);
    let stores = stores(kind, &alias, &password, span);
    let settings = IssuedSettings {
        passphrase,
        folder,
        authority,
        valid_days,
        authority_days,
        renew_days,
        names,
        trust,
        public_authorities,
    };
    Some((settings, stores))
}

fn check_secrets(
    passphrase: Option<&Spanned<Secret>>,
    password: Option<&Spanned<Secret>>,
    section: &mut Section<'_, '_>,
) {
    for (key, secret, why) in [
        (
            "passphrase",
            passphrase,
            "it encrypts the private keys next to the inventory: `!vault`, `!env` or `!file`",
        ),
        ("password", password, "it opens the keystores on the hosts: `!vault`, `!env` or `!file`"),
    ] {
        match secret {
            None => section.missing(key, why),
            Some(secret) if secret.value.expose().chars().count() < SHORTEST => {
                let what = format!("`{}` must have at least {SHORTEST} characters", section.path(key));
                section.mistakes.add(&secret.span, what);
            }
            Some(_) => {}
        }
    }
    let Some(password) = password else { return };
    check_password(password, &section.path("password"), section.mistakes);
    if !password.value.expose().chars().all(|c| u32::from(c) < 256) {
        let what = format!("`{}` must contain only Latin-1 characters", section.path("password"));
        section.mistakes.add(&password.span, what);
    }
}

fn alias(section: &mut Section<'_, '_>) -> String {
    let Some(alias) = section.text("alias") else { return "wso2carbon".to_owned() };
    if !is_alias(&alias.value) {
        let what = format!("`{}`: invalid alias `{}`", section.path("alias"), alias.value);
        section.mistakes.add_hint(&alias.span, what, "use lower-case letters, digits, `.`, `-` and `_`");
    }
    alias.value
}

fn authority(section: &mut Section<'_, '_>) -> String {
    let Some(name) = section.text("authority") else { return "API Manager cluster CA".to_owned() };
    if !is_name(&name.value) {
        let what = format!("`{}` cannot be used in a certificate", section.path("authority"));
        section.mistakes.add_hint(&name.span, what, "use 1 to 64 letters, digits, blanks, `.`, `-` and `_`");
    }
    name.value
}

/// Reads `valid_days`, `authority_days` and `renew_days`.
fn days(section: &mut Section<'_, '_>) -> (i64, i64, i64) {
    let valid_days = section.number("valid_days", 1..=3650).unwrap_or(VALID_DAYS);
    let authority_days = section.number("authority_days", 30..=18_250).unwrap_or(AUTHORITY_DAYS);
    let renew_days = section.number("renew_days", 1..=365).unwrap_or(RENEW_DAYS);
    if renew_days >= valid_days {
        let span = section.span().clone();
        let what = format!("`{}` must be less than `valid_days` ({valid_days})", section.path("renew_days"));
        section.mistakes.add_hint(&span, what, "otherwise every apply would renew every certificate");
    }
    (valid_days, authority_days, renew_days)
}

fn names(section: &mut Section<'_, '_>) -> Vec<Spanned<String>> {
    let mut names = texts_of(section, "names");
    let what = section.path("names");
    names.retain(|name| {
        name.value.parse::<std::net::Ipv4Addr>().is_ok() || check_host(name, &what, section.mistakes)
    });
    names
}

/// Returns the keystores of a node in this mode.
fn stores(kind: &'static str, alias: &str, password: &Spanned<Secret>, span: Span) -> Vec<Keystore> {
    let places = Places {
        whole: span.clone(),
        password: password.span.clone(),
        key_password: password.span.clone(),
        alias: span,
    };
    let ending = if kind == "JKS" { "jks" } else { "p12" };
    let store = |purpose, stem: &str, is_key: bool| Keystore {
        purpose,
        file: None,
        key_file: None,
        is_pem: false,
        file_name: format!("{stem}.{ending}"),
        kind,
        password: password.value.clone(),
        alias: is_key.then(|| alias.to_owned()),
        key_password: is_key.then(|| password.value.clone()),
        places: places.clone(),
    };
    vec![
        store(Purpose::Primary, "primary", true),
        store(Purpose::Internal, "primary", true),
        store(Purpose::Tls, "tls", true),
        // The shipped file name, so that no part of the product uses the shipped file instead.
        store(Purpose::Truststore, "client-truststore", false),
    ]
}

fn is_alias(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(fits)
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || " .-_".contains(c);
    !text.trim().is_empty() && text.len() <= LONGEST_NAME && text.chars().all(fits)
}
