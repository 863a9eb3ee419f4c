//! Settings of the product that most clusters touch sooner or later: `cors`, `devportal`, `analytics`, `backend_jwt`, `mail`, `user_store`, `oauth`.

use apim_protocol::value::Secret;

use super::read::{At, Section};
use crate::yaml::Kind;

/// `apim.cors`; what is not said stays as shipped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cors {
    /// Origins that may call.
    pub allow_origins: Option<Vec<String>>,
    /// Methods.
    pub allow_methods: Option<Vec<String>>,
    /// Headers.
    pub allow_headers: Option<Vec<String>>,
    /// Headers that scripts may read.
    pub expose_headers: Option<Vec<String>>,
    /// Whether cookies are sent along.
    pub allow_credentials: Option<bool>,
    /// Whether gateways answer for cross-origin calls at all.
    pub enabled: Option<bool>,
}

/// `apim.analytics`: what gateways publish of every call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Analytics {
    /// Whether they do.
    pub enabled: bool,
    /// The kind of receiver (`moesif`, `elk`, …).
    pub kind: Option<String>,
    /// Where the receiver's address is asked for.
    pub config_endpoint: Option<String>,
    /// The key of the receiver.
    pub auth_token: Option<Secret>,
    /// What else the receiver wants.
    pub properties: Vec<(String, Secret)>,
}

/// `apim.backend_jwt`: the token that tells backends who calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackendJwt {
    /// Whether it is sent.
    pub enabled: bool,
    /// The header.
    pub header: Option<String>,
    /// `base64` or `base64url`.
    pub encoding: Option<&'static str>,
    /// The dialect of claims.
    pub claim_dialect: Option<String>,
    /// `SHA256withRSA` or `NONE`.
    pub signing_algorithm: Option<&'static str>,
    /// Whether the user's claims are in it.
    pub user_claims: Option<bool>,
}

/// `apim.mail`: how control planes and key managers send mail.
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: Option<u16>,
    /// The sender.
    pub from: String,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// The account.
    pub account: Option<(String, Secret)>,
    /// Whether the connection is upgraded to TLS.
    pub start_tls: bool,
}

/// `apim.user_store`.
#[derive(Debug, Clone, PartialEq)]
pub struct UserStore {
    /// The product's word for it.
    pub kind: &'static str,
    /// Where a directory answers.
    pub url: Option<String>,
    /// As whom to log in to it.
    pub account: Option<(String, Secret)>,
    /// Where it stands.
    pub span: crate::yaml::Span,
}

/// `apim.oauth`: how tokens are kept in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OAuth {
    /// Access tokens, client secrets and authorization codes are encrypted.
    pub encrypt_tokens: bool,
    /// They are hashed.
    pub hash_tokens: bool,
}

/// All of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Cross-origin rules.
    pub cors: Cors,
    /// The developer portal's address, where it is not the control planes'.
    pub devportal_url: Option<String>,
    /// Analytics.
    pub analytics: Analytics,
    /// The token for backends.
    pub backend_jwt: BackendJwt,
    /// Mail.
    pub mail: Option<Mail>,
    /// The user store.
    pub user_store: UserStore,
    /// Tokens in the database.
    pub oauth: OAuth,
}

/// Types of user stores (carbon-kernel, infer.json and validator.json).
const USER_STORES: [(&str, &str); 8] = [
    ("database_unique_id", "database_unique_id"),
    ("database", "database"),
    ("read_only_ldap", "read_only_ldap"),
    ("read_only_ldap_unique_id", "read_only_ldap_unique_id"),
    ("read_write_ldap", "read_write_ldap"),
    ("read_write_ldap_unique_id", "read_write_ldap_unique_id"),
    ("active_directory", "active_directory"),
    ("active_directory_unique_id", "active_directory_unique_id"),
];

impl Features {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            cors: section.section("cors").map(cors).unwrap_or_default(),
            devportal_url: section.section("devportal").and_then(devportal),
            analytics: section.section("analytics").map(analytics).unwrap_or_default(),
            backend_jwt: section.section("backend_jwt").map(backend_jwt).unwrap_or_default(),
            mail: section.section("mail").and_then(mail),
            user_store: user_store(section),
            oauth: section.section("oauth").map(oauth).unwrap_or_default(),
        }
    }
}

fn cors(mut section: Section<'_, '_>) -> Cors {
    let read = Cors {
        allow_origins: section.texts("allow_origins"),
        allow_methods: section.texts("allow_methods"),
        allow_headers: section.texts("allow_headers"),
        expose_headers: section.texts("expose_headers"),
        allow_credentials: section.choice("allow_credentials"),
        enabled: section.choice("enabled"),
    };
    let any = read.allow_origins.as_ref().is_some_and(|origins| origins.iter().any(|origin| origin == "*"));
    if any && read.allow_credentials == Some(true) {
        let span = section.span().clone();
        section.mistakes.add_hint(
            &span,
            "`apim.cors` allows credentials from every origin, which browsers refuse",
            "name the origins in `allow_origins`",
        );
    }
    section.finish();
    read
}

fn devportal(mut section: Section<'_, '_>) -> Option<String> {
    let url = section.web_address("url");
    section.finish();
    Some(url?.value)
}

fn analytics(mut section: Section<'_, '_>) -> Analytics {
    let read = Analytics {
        enabled: section.flag("enabled", true),
        kind: section.text("type").map(|text| text.value),
        config_endpoint: section.web_address("config_endpoint").map(|text| text.value),
        auth_token: section.secret("auth_token").map(|secret| secret.value),
        properties: properties(&mut section),
    };
    section.finish();
    read
}

/// Any of them may be a key, so all are kept as secrets.
fn properties(section: &mut Section<'_, '_>) -> Vec<(String, Secret)> {
    let Some(node) = section.take("properties") else { return Vec::new() };
    let Kind::Map(entries) = &node.kind else {
        let what = format!("`{}` must be a map, not {}", section.path("properties"), node.describe());
        section.mistakes.add(&node.span, what);
        return Vec::new();
    };
    let mut read = Vec::new();
    for (key, value) in entries {
        match (&value.kind, value.as_text()) {
            (Kind::Secret(secret), _) => read.push((key.text.clone(), secret.clone())),
            (Kind::Bool(truth), _) => read.push((key.text.clone(), Secret::new(truth.to_string()))),
            (_, Some(text)) => read.push((key.text.clone(), Secret::new(text))),
            (_, None) => {
                let what =
                    format!("`{}` must be a text, not {}", section.path("properties"), value.describe());
                section.mistakes.add(&value.span, what);
            }
        }
    }
    read
}

fn backend_jwt(mut section: Section<'_, '_>) -> BackendJwt {
    let read = BackendJwt {
        enabled: section.flag("enabled", true),
        header: section.text("header").map(|text| text.value),
        encoding: section.word("encoding", &[("base64", "base64"), ("base64url", "base64url")]),
        claim_dialect: section.text("claim_dialect").map(|text| text.value),
        signing_algorithm: section
            .word("signing_algorithm", &[("SHA256withRSA", "SHA256withRSA"), ("NONE", "NONE")]),
        user_claims: section.choice("user_claims"),
    };
    section.finish();
    read
}

fn mail(mut section: Section<'_, '_>) -> Option<Mail> {
    let host = section.host("host");
    if host.is_none() {
        section.missing("host", "the mail server's name");
    }
    let from = section.text("from");
    if from.is_none() {
        section.missing("from", "the sender's address");
    }
    let port = section.port("port");
    let reply_to = section.text("reply_to").map(|text| text.value);
    let account = account(&mut section, "username", "password");
    let start_tls = section.flag("start_tls", true);
    section.finish();
    Some(Mail { host: host?.value, port, from: from?.value, reply_to, account, start_tls })
}

fn account(
    section: &mut Section<'_, '_>,
    name: &'static str,
    password: &'static str,
) -> Option<(String, Secret)> {
    let user = section.text(name);
    let secret = section.secret(password);
    if let Some(secret) = &secret {
        let what = section.path(password);
        super::refuse_placeholder(secret, &what, section.mistakes);
    }
    match (&user, &secret) {
        (Some(_), None) => section.missing(password, "the account's; better `!vault`, `!env` or `!file`"),
        (None, Some(_)) => section.missing(name, "the account's name"),
        _ => {}
    }
    Some((user?.value, secret?.value))
}

fn user_store(section: &mut Section<'_, '_>) -> UserStore {
    let span = section.span().clone();
    let mut read = UserStore { kind: "database_unique_id", url: None, account: None, span };
    let Some(mut part) = section.section("user_store") else { return read };
    read.span = part.span().clone();
    read.kind = part.word("type", &USER_STORES).unwrap_or(read.kind);
    read.url = part.text("url").map(|text| text.value);
    read.account = account(&mut part, "username", "password");
    let is_directory = !read.kind.starts_with("database");
    if is_directory && read.url.is_none() {
        part.missing("url", "`ldap://HOST:PORT` or `ldaps://HOST:PORT`");
    }
    if !is_directory && (read.url.is_some() || read.account.is_some()) {
        let what = "`apim.user_store` is the database, and has no `url` or account of its own";
        part.mistakes.add_hint(
            &read.span,
            what,
            "say the directory's `type`, such as read_write_ldap_unique_id",
        );
    }
    part.finish();
    read
}

fn oauth(mut section: Section<'_, '_>) -> OAuth {
    let span = section.span().clone();
    let read = OAuth {
        encrypt_tokens: section.flag("encrypt_tokens", false),
        hash_tokens: section.flag("hash_tokens", false),
    };
    if read.encrypt_tokens && read.hash_tokens {
        // One class wins, and which one hash order decides (wso2/product-apim, infer.json).
        section.mistakes.add_hint(
            &span,
            "`apim.oauth` asks for tokens that are encrypted and hashed",
            "choose one: what is hashed cannot be read again, what is encrypted can",
        );
    }
    section.finish();
    read
}

/// Returns the host of an `http(s)` URL.
pub(super) fn is_web_address(text: &At<String>) -> bool {
    let rest = text.value.strip_prefix("https://").or_else(|| text.value.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        !authority.contains('@') && crate::apim::host_name::check(host).is_ok()
    })
}
