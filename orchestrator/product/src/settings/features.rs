//! Product settings that most clusters change: `cors`, `devportal`, `analytics`, `backend_jwt`,
//! `mail`, `user_store`, `oauth`.

use apim_protocol::value::Secret;

use super::read::{Section, refuse_placeholder};
use crate::yaml::Kind;

/// `apim.cors`; `None`: the product's default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cors {
    /// Allowed origins.
    pub allow_origins: Option<Vec<String>>,
    /// Allowed methods.
    pub allow_methods: Option<Vec<String>>,
    /// Allowed request headers.
    pub allow_headers: Option<Vec<String>>,
    /// Response headers that scripts can read.
    pub expose_headers: Option<Vec<String>>,
    /// Whether requests may carry credentials.
    pub allow_credentials: Option<bool>,
    /// Whether gateways handle cross-origin requests.
    pub enabled: Option<bool>,
}

/// `apim.analytics`: what gateways publish for each API call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Analytics {
    /// Whether gateways publish events.
    pub enabled: bool,
    /// The kind of receiver (`moesif`, `elk`, …).
    pub kind: Option<String>,
    /// URL that returns the address of the receiver.
    pub config_endpoint: Option<String>,
    /// Authentication token of the receiver.
    pub auth_token: Option<Secret>,
    /// Additional properties of the receiver.
    pub properties: Vec<(String, Secret)>,
}

/// `apim.backend_jwt`: the token that identifies the caller to backends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackendJwt {
    /// Whether gateways send it.
    pub enabled: bool,
    /// The name of the header.
    pub header: Option<String>,
    /// `base64` or `base64url`.
    pub encoding: Option<&'static str>,
    /// The URI of the claim dialect.
    pub claim_dialect: Option<String>,
    /// `SHA256withRSA` or `NONE`.
    pub signing_algorithm: Option<&'static str>,
    /// Whether it contains the user's claims.
    pub user_claims: Option<bool>,
}

/// `apim.mail`: how control planes and key managers send mail.
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    /// Name of the SMTP server.
    pub host: String,
    /// Port of the SMTP server; `None`: the product's default.
    pub port: Option<u16>,
    /// The sender address.
    pub from: String,
    /// The reply address; `None`: the product's default.
    pub reply_to: Option<String>,
    /// User name and password of the SMTP account.
    pub account: Option<(String, Secret)>,
    /// Whether the connection is upgraded with STARTTLS.
    pub start_tls: bool,
}

/// `apim.user_store`.
#[derive(Debug, Clone, PartialEq)]
pub struct UserStore {
    /// The product's name of the type.
    pub kind: &'static str,
    /// URL of the LDAP directory.
    pub url: Option<String>,
    /// User name and password for the directory.
    pub account: Option<(String, Secret)>,
    /// The location of the section.
    pub span: crate::yaml::Span,
}

/// `apim.oauth`: how tokens are stored in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OAuth {
    /// Access tokens, client secrets and authorization codes are encrypted.
    pub encrypt_tokens: bool,
    /// Access tokens, client secrets and authorization codes are hashed.
    pub hash_tokens: bool,
}

/// All settings of this module.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Cross-origin rules.
    pub cors: Cors,
    /// URL of the developer portal, if it differs from that of the control planes.
    pub devportal_url: Option<String>,
    /// Events for an analytics receiver.
    pub analytics: Analytics,
    /// The token sent to backends.
    pub backend_jwt: BackendJwt,
    /// The mail account.
    pub mail: Option<Mail>,
    /// The primary user store.
    pub user_store: UserStore,
    /// How tokens are stored.
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
            "`apim.cors` allows credentials from every origin, which browsers reject",
            "list the origins in `allow_origins`",
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

/// Reads properties; all values are treated as secrets, since each may be an API key.
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
        section.missing("host", "the name of the SMTP server");
    }
    let from = section.text("from");
    if from.is_none() {
        section.missing("from", "the sender address");
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
        refuse_placeholder(secret, &what, section.mistakes);
    }
    match (&user, &secret) {
        (Some(_), None) => {
            section.missing(password, "the account's password, preferably `!vault`, `!env` or `!file`")
        }
        (None, Some(_)) => section.missing(name, "the account's user name"),
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
        let what = "`apim.user_store` uses the database, which takes no `url` or account";
        part.mistakes.add_hint(
            &read.span,
            what,
            "set the directory's `type`, such as read_write_ldap_unique_id",
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
        // One class wins, and hash order decides which (wso2/product-apim, infer.json).
        section.mistakes.add_hint(
            &span,
            "`apim.oauth` sets both `encrypt_tokens` and `hash_tokens`",
            "choose one: hashed tokens cannot be decrypted, encrypted tokens can",
        );
    }
    section.finish();
    read
}
