//! `apim.keystores` in mode `issued`: what the certificates of the cluster are like, and what locks them.

use apim_protocol::value::Secret;

use super::{Keystore, Places, Purpose, check_password};
use crate::apim::settings::read::{At, Section, check_host, text_of};
use crate::yaml::Kind;

/// The shortest passphrase and store password; a JDK's tools refuse shorter ones.
const SHORTEST: usize = 6;
/// Public authorities stopped giving certificates for longer than this; who renews by running `apply` need not care.
const VALID_DAYS: i64 = 397;
/// Ten years.
const AUTHORITY_DAYS: i64 = 3650;
/// From when on a certificate is renewed.
const RENEW_DAYS: i64 = 30;
/// X.520's longest common name.
const LONGEST_NAME: usize = 64;

/// How certificates are issued.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuedSettings {
    /// Locks the private keys kept beside the inventory.
    pub passphrase: At<Secret>,
    /// The folder that keeps them; `None`: beside the inventory, by its name.
    pub folder: Option<At<String>>,
    /// The name of the cluster's authority.
    pub authority: String,
    /// For how many days a node's certificate holds.
    pub valid_days: i64,
    /// For how many days the authority's holds, and the one of the shared key.
    pub authority_days: i64,
    /// How many days before its end a certificate is renewed.
    pub renew_days: i64,
    /// More names for this host's certificates.
    pub names: Vec<At<String>>,
    /// PEM files of more authorities that nodes trust.
    pub trust: Vec<At<String>>,
    /// Whether nodes go on trusting the public authorities that the distribution's truststore lists.
    pub public_authorities: bool,
}

impl IssuedSettings {
    /// Returns what must be the same on all hosts.
    #[must_use]
    pub fn shared(&self) -> Self {
        let nowhere = crate::yaml::Span::nowhere;
        let plain = |at: &At<String>| At::new(at.value.clone(), nowhere());
        Self {
            passphrase: At::new(self.passphrase.value.clone(), nowhere()),
            folder: self.folder.as_ref().map(plain),
            names: Vec::new(),
            trust: self.trust.iter().map(plain).collect(),
            ..self.clone()
        }
    }
}

/// Reads them; keys that only this mode has are mistakes in others (they are left over for `finish`).
pub(super) fn read(section: &mut Section<'_, '_>, is_mode: bool) -> Option<(IssuedSettings, Vec<Keystore>)> {
    if !is_mode {
        return None;
    }
    let span = section.span().clone();
    let passphrase = section.secret("passphrase");
    let password = section.secret("password");
    for (key, secret, why) in [
        (
            "passphrase",
            &passphrase,
            "it locks the private keys beside the inventory: `!vault`, `!env` or `!file`",
        ),
        ("password", &password, "it opens the keystores on the hosts: `!vault`, `!env` or `!file`"),
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
    if let Some(password) = &password {
        check_password(password, &section.path("password"), section.mistakes);
        if !password.value.expose().chars().all(|c| u32::from(c) < 256) {
            let what = format!("`{}` must be of Latin letters, digits and signs", section.path("password"));
            section.mistakes.add(&password.span, what);
        }
    }
    let kind = section.word("type", &[("JKS", "JKS"), ("PKCS12", "PKCS12")]).unwrap_or("JKS");
    let alias = section.text("alias");
    if let Some(alias) = alias.as_ref().filter(|at| !is_alias(&at.value)) {
        let what = format!("`{}`: `{}` is no alias", section.path("alias"), alias.value);
        section.mistakes.add_hint(&alias.span, what, "lower-case letters, digits, `.`, `-` and `_`");
    }
    let authority = section.text("authority");
    if let Some(name) = authority.as_ref().filter(|at| !is_name(&at.value)) {
        let what = format!("`{}` cannot stand in a certificate", section.path("authority"));
        section.mistakes.add_hint(&name.span, what, "1 to 64 letters, digits, blanks, `.`, `-` and `_`");
    }
    let folder = section.text("folder");
    let valid_days = section.number("valid_days", 1..=3650).unwrap_or(VALID_DAYS);
    let authority_days = section.number("authority_days", 30..=18_250).unwrap_or(AUTHORITY_DAYS);
    let renew_days = section.number("renew_days", 1..=365).unwrap_or(RENEW_DAYS);
    if renew_days >= valid_days {
        let what = format!("`{}` is not less than `valid_days` ({valid_days})", section.path("renew_days"));
        section.mistakes.add_hint(&span, what, "every apply would issue every certificate anew");
    }
    let mut names = list(section, "names");
    let what = section.path("names");
    names.retain(|name| {
        name.value.parse::<std::net::Ipv4Addr>().is_ok() || check_host(name, &what, section.mistakes)
    });
    let trust = list(section, "trust");
    let public_authorities = section.flag("public_authorities", true);
    let alias = alias.map_or_else(|| "wso2carbon".to_owned(), |at| at.value);
    let (passphrase, password) = (passphrase?, password?);
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
        alias: is_key.then(|| alias.clone()),
        key_password: is_key.then(|| password.value.clone()),
        places: places.clone(),
    };
    let stores = vec![
        store(Purpose::Primary, "primary", true),
        store(Purpose::Internal, "primary", true),
        store(Purpose::Tls, "tls", true),
        // The shipped name, so that nothing of the product finds the shipped file in its place.
        store(Purpose::Truststore, "client-truststore", false),
    ];
    let settings = IssuedSettings {
        passphrase,
        folder,
        authority: authority.map_or_else(|| "API Manager cluster CA".to_owned(), |at| at.value),
        valid_days,
        authority_days,
        renew_days,
        names,
        trust,
        public_authorities,
    };
    Some((settings, stores))
}

fn list(section: &mut Section<'_, '_>, key: &'static str) -> Vec<At<String>> {
    let Some(node) = section.take(key) else { return Vec::new() };
    let what = section.path(key);
    match &node.kind {
        Kind::List(items) => items.iter().filter_map(|item| text_of(item, &what, section.mistakes)).collect(),
        _ => text_of(node, &what, section.mistakes).into_iter().collect(),
    }
}

fn is_alias(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(fits)
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || " .-_".contains(c);
    !text.trim().is_empty() && text.len() <= LONGEST_NAME && text.chars().all(fits)
}
