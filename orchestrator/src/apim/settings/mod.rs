//! `apim`: the typed settings of one host, as an inventory's variables give them. What they mean together is `cluster`'s.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use apim_protocol::value::Secret;

use super::release::Version;
use super::role::{Role, StartOrder};
use crate::yaml::{Key, Kind, Mistakes, Node, Span};

pub mod databases;
pub mod endpoint;
pub mod environments;
pub mod features;
pub mod hardening;
pub mod hooks;
pub mod keystores;
pub mod load_balancer;
pub mod messaging;
pub mod node;
pub mod preflight;
mod raw;
mod read;
pub mod secrets;
pub mod source;

pub use read::At;
use read::Section;
pub(crate) use read::one_of;

/// The super administrator.
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// `apim.hosts_file`.
#[derive(Debug, Clone, PartialEq)]
pub struct HostsFile {
    /// Whether `/etc/hosts` is managed.
    pub enabled: bool,
    /// More names.
    pub extra: BTreeMap<String, At<Ipv4Addr>>,
}

/// `apim.health`: how long is waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// For a node to start. A first start fills the databases' rows and the index, so this is generous; a known cause of
    /// failure ends the wait at once.
    pub started_secs: u64,
    /// For its connections to stand and its APIs to be deployed; long enough for the one restart that may be needed.
    pub complete_secs: u64,
    /// After how long an incomplete node is restarted once (0: never).
    pub restart_after_secs: u64,
}

/// All settings of one host.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The version.
    pub version: Option<At<Version>>,
    /// Where zips come from.
    pub distributions: source::Distributions,
    /// The JDK.
    pub java: Option<source::Java>,
    /// The folder of everything.
    pub install_dir: String,
    /// How many releases of a component stay on a host; `None`: all of them.
    pub keep_releases: Option<u32>,
    /// The service account.
    pub user: String,
    /// Its group.
    pub group: String,
    /// The number of the account.
    pub uid: Option<u32>,
    /// The number of the group.
    pub gid: Option<u32>,
    /// The address by which other nodes reach the host, where it is not the one we connect to.
    pub address: Option<At<Ipv4Addr>>,
    /// The name by which other nodes reach the host, where it is not the inventory's.
    pub host_name: Option<At<String>>,
    /// Names of roles.
    pub endpoints: BTreeMap<Role, endpoint::EndpointSetting>,
    /// The super administrator.
    pub admin: Option<Admin>,
    /// The databases.
    pub databases: Option<databases::Databases>,
    /// Whether the node's own H2 files are asked for by name.
    pub embedded: bool,
    /// The keystores.
    pub keystores: keystores::Keystores,
    /// The key for encryption at rest (4.7 and later).
    pub encryption_key: Option<Secret>,
    /// Gateway environments; empty: the shipped one.
    pub environments: Vec<environments::Environment>,
    /// Settings by role.
    pub roles: BTreeMap<Role, node::RoleSettings>,
    /// Raw keys of every node's `deployment.toml`.
    pub config: Option<Node>,
    /// In which form passwords stand in `deployment.toml`.
    pub secrets: secrets::SecretsMode,
    /// How events travel between nodes.
    pub messaging: messaging::Messaging,
    /// Portals, analytics, mail and the like.
    pub features: features::Features,
    /// `server.node_ip`, where it is not the documentation's.
    pub node_ip: Option<Ipv4Addr>,
    /// Whether keys of `config` that the product does not read are mistakes.
    pub strict_config: bool,
    /// The order of starting.
    pub start_order: StartOrder,
    /// `/etc/hosts`.
    pub hosts_file: HostsFile,
    /// Deadlines.
    pub health: Health,
    /// How much each check of a host matters.
    pub preflight: preflight::Preflight,
    /// What stands in front of the nodes.
    pub load_balancer: load_balancer::LoadBalancer,
    /// What is closed beyond the usual.
    pub hardening: hardening::Hardening,
    /// Whether every endpoint that was written, here or in an environment, could be read.
    pub endpoints_fit: bool,
    /// Keys that were written, whether they could be read or not, and where.
    given: Vec<Key>,
    /// Where the settings stand.
    pub span: Span,
}

impl Settings {
    /// Reads the settings; what is wrong is noted and read as if absent.
    #[must_use]
    pub fn read(node: &Node, mistakes: &mut Mistakes) -> Self {
        let mut section = Section::new(node, "apim", mistakes);
        let span = section.span().clone();
        let version = section.text("version").and_then(|text| match Version::parse(&text.value) {
            Ok(version) => Some(At::new(version, text.span)),
            Err(error) => {
                section.mistakes.add(&text.span, format!("`apim.version`: {error}"));
                None
            }
        });
        let distributions = match section.section("distributions") {
            Some(part) => source::Distributions::read(part),
            None => source::Distributions::absent(span.clone()),
        };
        let java = section.section("java").and_then(source::Java::read);
        let install_dir = section.folder("install_dir").map_or_else(|| "/opt/wso2".to_owned(), String::from);
        // Less than two would leave nothing to go back to.
        let keep_releases = section.number("keep_releases", 2..=100).and_then(|n| u32::try_from(n).ok());
        let account = Account::read(&mut section);
        let address = section.text("address").and_then(|text| {
            let address = endpoint::ipv4(&text, "apim.address", section.mistakes)?;
            Some(At::new(address, text.span))
        });
        let host_name = section.host("host_name");
        let known = section.mistakes.0.len();
        let endpoints = section.section("endpoints").map(endpoint::read).unwrap_or_default();
        let mut endpoints_fit = section.mistakes.0.len() == known;
        let admin = section.section("admin").and_then(Admin::read);
        let part = section.section("databases");
        let embedded = part.as_ref().is_some_and(|part| part.is("type", databases::EMBEDDED));
        let databases = part.and_then(databases::Databases::read);
        let keystores = match section.section("keystores") {
            Some(part) => keystores::Keystores::read(part),
            None => keystores::Keystores::shipped(span.clone()),
        };
        let encryption_key = section.secret("encryption_key").and_then(|key| {
            let fits =
                key.value.expose().len() == 64 && key.value.expose().chars().all(|c| c.is_ascii_hexdigit());
            if !fits {
                section.mistakes.add_hint(
                    &key.span,
                    "`apim.encryption_key` must be 64 hex digits",
                    "`openssl rand -hex 32` makes one",
                );
            }
            fits.then_some(key.value)
        });
        let known = section.mistakes.0.len();
        let environments = match section.take("environments") {
            Some(node) => environments::read(node, section.mistakes),
            None => Vec::new(),
        };
        endpoints_fit &= section.mistakes.0.len() == known;
        let roles = Role::ALL
            .into_iter()
            .map(|role| {
                let settings = match section.section(role.group()) {
                    Some(part) => node::RoleSettings::read(role, part),
                    None => node::RoleSettings::absent(),
                };
                (role, settings)
            })
            .collect();
        let config = section.take("config").cloned();
        if let Some(config) = &config {
            raw::check(config, "apim.config", section.mistakes);
        }
        let secrets = section.word("secrets", &secrets::SecretsMode::WORDS).unwrap_or_default();
        let messaging = messaging::Messaging::read(&mut section);
        let features = features::Features::read(&mut section);
        let node_ip =
            section.text("node_ip").and_then(|text| endpoint::ipv4(&text, "apim.node_ip", section.mistakes));
        let strict_config = section.flag("strict_config", false);
        let orders = StartOrder::ALL.map(|order| (order.word(), order));
        let start_order = section.word("start_order", &orders).unwrap_or_default();
        let hosts_file = HostsFile::read(&mut section);
        let health = Health::read(&mut section);
        let preflight = section.section("preflight").map(preflight::Preflight::read).unwrap_or_default();
        let load_balancer = match section.section("load_balancer") {
            Some(part) => load_balancer::LoadBalancer::read(part),
            None => load_balancer::LoadBalancer::absent(span.clone()),
        };
        let hardening = hardening::Hardening::read(&mut section);
        section.finish();
        Self {
            version,
            distributions,
            java,
            install_dir,
            keep_releases,
            user: account.user,
            group: account.group,
            uid: account.uid,
            gid: account.gid,
            address,
            host_name,
            endpoints,
            admin,
            databases,
            embedded,
            keystores,
            encryption_key,
            environments,
            roles,
            config,
            secrets,
            messaging,
            features,
            node_ip,
            strict_config,
            start_order,
            hosts_file,
            health,
            preflight,
            load_balancer,
            hardening,
            endpoints_fit,
            given: node.entries().unwrap_or_default().iter().map(|(key, _)| key.clone()).collect(),
            span,
        }
    }

    /// Says whether `key` was written, even if what it says could not be read.
    #[must_use]
    pub fn gives(&self, key: &str) -> bool {
        self.place_of(key).is_some()
    }

    /// Returns where `key` was written, if it was.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Option<&Span> {
        self.given.iter().find(|known| known.text == key).map(|known| &known.span)
    }

    /// Returns the settings of `role`.
    #[must_use]
    pub fn role(&self, role: Role) -> node::RoleSettings {
        self.roles.get(&role).cloned().unwrap_or_else(node::RoleSettings::absent)
    }
}

struct Account {
    user: String,
    group: String,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Account {
    fn read(section: &mut Section<'_, '_>) -> Self {
        let mut name = |key: &'static str, default: &str| match section.text(key) {
            None => default.to_owned(),
            Some(text) => {
                let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
                let first = text.value.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
                if !first || text.value.len() > 32 || !text.value.chars().all(fits) {
                    let what = format!("`apim.{key}`: `{}` is no name for an account", text.value);
                    section.mistakes.add_hint(
                        &text.span,
                        what,
                        "lower-case letters, digits, `_` and `-`, at most 32",
                    );
                }
                text.value
            }
        };
        let user = name("user", "wso2carbon");
        let group = name("group", "wso2");
        let mut number = |key| section.number(key, 1..=60000).and_then(|n| u32::try_from(n).ok());
        Self { user, group, uid: number("uid"), gid: number("gid") }
    }
}

impl Admin {
    fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let username = section.text("username");
        let password = section.secret("password");
        let name = username.as_ref().map_or("admin", |text| text.value.as_str()).to_owned();
        // carbon-kernel default.json: user names are 3 to 30 characters without blanks, passwords 5 to 30. Both end in
        // an XML element, and in the user part of a broker URL that is read without decoding (documentation, security guidelines).
        let fits = |text: &str, shortest: usize| {
            (shortest..=30).contains(&text.chars().count()) && !text.chars().any(char::is_whitespace)
        };
        if let Some(username) =
            username.as_ref().filter(|text| !fits(&text.value, 3) || reserved(&text.value).is_some())
        {
            let what = format!("`apim.admin.username`: `{}` is no administrator's name", username.value);
            section.mistakes.add_hint(
                &username.span,
                what,
                "3 to 30 characters, without blanks and @ { } % & < > £",
            );
        }
        match &password {
            None => section.missing("password", "a text, or better `!vault`, `!env` or `!file`"),
            Some(password) => {
                if !fits(password.value.expose(), 5) {
                    section.mistakes.add(
                        &password.span,
                        "`apim.admin.password` must have 5 to 30 characters without blanks",
                    );
                }
                if let Some(sign) = reserved(password.value.expose()) {
                    section.mistakes.add_hint(
                        &password.span,
                        format!("`apim.admin.password` must not hold `{sign}`"),
                        "the product puts it into XML and broker URLs as it is: choose one without @ { } % & < > £",
                    );
                }
            }
        }
        section.finish();
        Some(Self { username: name, password: password?.value })
    }
}

fn reserved(text: &str) -> Option<char> {
    text.chars().find(|c| "@{}%&<>£".contains(*c))
}

/// Refuses a secret that the product's configuration mapper would take for a placeholder.
fn refuse_placeholder(secret: &At<Secret>, what: &str, mistakes: &mut Mistakes) {
    let text = secret.value.expose();
    if ["$ref{", "$env{", "$sys{", "$secret{", "${"].iter().any(|sign| text.contains(sign)) {
        mistakes.add_hint(
            &secret.span,
            format!("`{what}` holds `$…{{`, which the product would replace"),
            "choose a secret without it",
        );
    }
    if text.contains("]]>") || text.chars().any(char::is_control) {
        mistakes.add(
            &secret.span,
            format!("`{what}` holds `]]>` or a control character, which cannot be written into XML"),
        );
    }
}

impl HostsFile {
    fn read(section: &mut Section<'_, '_>) -> Self {
        let mut read = Self { enabled: true, extra: BTreeMap::new() };
        let Some(mut part) = section.section("hosts_file") else { return read };
        read.enabled = part.flag("enabled", true);
        if let Some(node) = part.take("extra") {
            match &node.kind {
                Kind::Map(entries) => {
                    for (key, value) in entries {
                        let name = At::new(key.text.clone(), key.span.clone());
                        let what = "apim.hosts_file.extra";
                        if read::check_host(&name, what, part.mistakes)
                            && let Some(text) = read::text_of(value, what, part.mistakes)
                            && let Some(address) = endpoint::ipv4(&text, what, part.mistakes)
                        {
                            read.extra.insert(name.value, At::new(address, name.span));
                        }
                    }
                }
                _ => part.mistakes.add(&node.span, "`apim.hosts_file.extra` must map names to addresses"),
            }
        }
        part.finish();
        read
    }
}

impl Health {
    fn read(section: &mut Section<'_, '_>) -> Self {
        let mut read = Self { started_secs: 600, complete_secs: 420, restart_after_secs: 120 };
        let Some(mut part) = section.section("health") else { return read };
        let mut secs = |key, lowest, default| {
            part.number(key, lowest..=7200).and_then(|n| u64::try_from(n).ok()).unwrap_or(default)
        };
        read.started_secs = secs("started_secs", 1, read.started_secs);
        read.complete_secs = secs("complete_secs", 1, read.complete_secs);
        read.restart_after_secs = secs("restart_after_secs", 0, read.restart_after_secs);
        part.finish();
        read
    }
}
