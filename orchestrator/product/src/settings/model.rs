//! All settings of one host.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use apim_protocol::value::Secret;

use super::account::Account;
use super::admin::Admin;
use super::databases::{self, Databases};
use super::endpoint::{self, EndpointSetting};
use super::environments::{self, Environment};
use super::features::Features;
use super::hardening::Hardening;
use super::health::Health;
use super::hosts_file::HostsFile;
use super::keystores::Keystores;
use super::load_balancer::LoadBalancer;
use super::messaging::Messaging;
use super::node::RoleSettings;
use super::preflight::Preflight;
use super::raw;
use super::read::{Section, Spanned};
use super::secrets::SecretsMode;
use super::source::{Distributions, Java};
use crate::release::Version;
use crate::role::{Role, StartOrder};
use crate::yaml::{Key, Mistakes, Node, Span};

/// All settings of one host.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The product version to deploy.
    pub version: Option<Spanned<Version>>,
    /// Sources and digests of the product zips.
    pub distributions: Distributions,
    /// The JDK that nodes run on.
    pub java: Option<Java>,
    /// The parent folder of all components; `/opt/wso2` by default.
    pub install_dir: String,
    /// How many releases of a component are kept on a host; `None`: all of them.
    pub keep_releases: Option<u32>,
    /// The service account; `wso2carbon` by default.
    pub user: String,
    /// The group of the service account; `wso2` by default.
    pub group: String,
    /// The UID of the service account; `None`: chosen by the host.
    pub uid: Option<u32>,
    /// The GID of the group; `None`: chosen by the host.
    pub gid: Option<u32>,
    /// The address that other nodes use for this host, if it differs from the SSH address.
    pub address: Option<Spanned<Ipv4Addr>>,
    /// The name that other nodes use for this host, if it differs from the inventory name.
    pub host_name: Option<Spanned<String>>,
    /// Public names of roles, usually those of a load balancer.
    pub endpoints: BTreeMap<Role, EndpointSetting>,
    /// The super administrator.
    pub admin: Option<Admin>,
    /// The database server; `None`: embedded H2 files.
    pub databases: Option<Databases>,
    /// Whether `databases.type: h2` selects the embedded H2 files explicitly.
    pub embedded: bool,
    /// Keystores and truststore.
    pub keystores: Keystores,
    /// The key for encryption at rest (4.7 and later).
    pub encryption_key: Option<Secret>,
    /// Gateway environments; empty: the default one.
    pub environments: Vec<Environment>,
    /// Settings by role.
    pub roles: BTreeMap<Role, RoleSettings>,
    /// Raw keys of every node's `deployment.toml`.
    pub config: Option<Node>,
    /// How secrets are stored in `deployment.toml`.
    pub secrets: SecretsMode,
    /// How events are distributed between nodes.
    pub messaging: Messaging,
    /// Portals, analytics, mail and the like.
    pub features: Features,
    /// `server.node_ip`, if it differs from the documented value.
    pub node_ip: Option<Ipv4Addr>,
    /// Whether `config` keys that the product does not read are errors.
    pub strict_config: bool,
    /// The order in which roles are started.
    pub start_order: StartOrder,
    /// Whether and how `/etc/hosts` is managed.
    pub hosts_file: HostsFile,
    /// Deadlines of health checks.
    pub health: Health,
    /// Levels of the preflight checks.
    pub preflight: Preflight,
    /// The load balancer.
    pub load_balancer: LoadBalancer,
    /// Hardening of hosts and nodes.
    pub hardening: Hardening,
    /// Whether all configured endpoints, including those of environments, are valid.
    pub endpoints_fit: bool,
    /// All keys that are set, valid or not, with their locations.
    given: Vec<Key>,
    /// The location of the settings.
    pub span: Span,
}

impl Settings {
    /// Reads the settings. Invalid values are added to `mistakes` and treated as absent.
    #[must_use]
    pub fn read(node: &Node, mistakes: &mut Mistakes) -> Self {
        let mut section = Section::new(node, "apim", mistakes);
        let span = section.span().clone();
        let version = version(&mut section);
        let distributions = section
            .section("distributions")
            .map_or_else(|| Distributions::absent(span.clone()), Distributions::read);
        let java = section.section("java").and_then(Java::read);
        let install_dir = section.folder("install_dir").map_or_else(|| "/opt/wso2".to_owned(), String::from);
        // A rollback needs at least one previous release.
        let keep_releases = section.number("keep_releases", 2..=100).and_then(|n| u32::try_from(n).ok());
        let Account { user, group, uid, gid } = Account::read(&mut section);
        let mut endpoints_fit = true;
        let read = Self {
            version,
            distributions,
            java,
            install_dir,
            keep_releases,
            user,
            group,
            uid,
            gid,
            address: address(&mut section),
            host_name: section.host("host_name"),
            endpoints: checked(&mut section, &mut endpoints_fit, |section| {
                section.section("endpoints").map(endpoint::read).unwrap_or_default()
            }),
            admin: section.section("admin").and_then(Admin::read),
            embedded: node.get("databases").is_some_and(databases::is_embedded),
            databases: section.section("databases").and_then(Databases::read),
            keystores: section
                .section("keystores")
                .map_or_else(|| Keystores::shipped(span.clone()), Keystores::read),
            encryption_key: encryption_key(&mut section),
            environments: checked(&mut section, &mut endpoints_fit, |section| {
                section.take("environments").map(|node| environments::read(node, section.mistakes))
            })
            .unwrap_or_default(),
            roles: roles(&mut section),
            config: config(&mut section),
            secrets: section.word("secrets", &SecretsMode::WORDS).unwrap_or_default(),
            messaging: Messaging::read(&mut section),
            features: Features::read(&mut section),
            node_ip: node_ip(&mut section),
            strict_config: section.flag("strict_config", false),
            start_order: start_order(&mut section),
            hosts_file: HostsFile::read(&mut section),
            health: Health::read(&mut section),
            preflight: section.section("preflight").map(Preflight::read).unwrap_or_default(),
            load_balancer: section
                .section("load_balancer")
                .map_or_else(|| LoadBalancer::absent(span.clone()), LoadBalancer::read),
            hardening: Hardening::read(&mut section),
            endpoints_fit,
            given: node.entries().unwrap_or_default().iter().map(|(key, _)| key.clone()).collect(),
            span,
        };
        section.finish();
        read
    }

    /// Returns whether `key` is set, even if its value is invalid.
    #[must_use]
    pub fn gives(&self, key: &str) -> bool {
        self.place_of(key).is_some()
    }

    /// Returns the location of `key`, if it is set.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Option<&Span> {
        self.given.iter().find(|known| known.text == key).map(|known| &known.span)
    }

    /// Returns the settings of `role`.
    #[must_use]
    pub fn role(&self, role: Role) -> RoleSettings {
        self.roles.get(&role).cloned().unwrap_or_else(RoleSettings::absent)
    }
}

/// Calls `read`, and sets `is_valid` to false if it adds an error.
fn checked<'a, 'm, T>(
    section: &mut Section<'a, 'm>,
    is_valid: &mut bool,
    read: impl FnOnce(&mut Section<'a, 'm>) -> T,
) -> T {
    let known = section.mistakes.0.len();
    let value = read(section);
    *is_valid &= section.mistakes.0.len() == known;
    value
}

fn version(section: &mut Section<'_, '_>) -> Option<Spanned<Version>> {
    let text = section.text("version")?;
    match Version::parse(&text.value) {
        Ok(version) => Some(Spanned::new(version, text.span)),
        Err(error) => {
            section.mistakes.add(&text.span, format!("`apim.version`: {error}"));
            None
        }
    }
}

fn address(section: &mut Section<'_, '_>) -> Option<Spanned<Ipv4Addr>> {
    let text = section.text("address")?;
    let address = endpoint::ipv4(&text, "apim.address", section.mistakes)?;
    Some(Spanned::new(address, text.span))
}

fn node_ip(section: &mut Section<'_, '_>) -> Option<Ipv4Addr> {
    let text = section.text("node_ip")?;
    endpoint::ipv4(&text, "apim.node_ip", section.mistakes)
}

fn encryption_key(section: &mut Section<'_, '_>) -> Option<Secret> {
    let key = section.secret("encryption_key")?;
    let text = key.value.expose();
    let fits = text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit());
    if !fits {
        section.mistakes.add_hint(
            &key.span,
            "`apim.encryption_key` must be 64 hex digits",
            "generate one with `openssl rand -hex 32`",
        );
    }
    fits.then_some(key.value)
}

fn roles(section: &mut Section<'_, '_>) -> BTreeMap<Role, RoleSettings> {
    let mut settings = |role: Role| match section.section(role.group()) {
        Some(part) => RoleSettings::read(role, part),
        None => RoleSettings::absent(),
    };
    Role::ALL.into_iter().map(|role| (role, settings(role))).collect()
}

fn config(section: &mut Section<'_, '_>) -> Option<Node> {
    let config = section.take("config")?;
    raw::check(config, "apim.config", section.mistakes);
    Some(config.clone())
}

fn start_order(section: &mut Section<'_, '_>) -> StartOrder {
    let orders = StartOrder::ALL.map(|order| (order.word(), order));
    section.word("start_order", &orders).unwrap_or_default()
}
