//! Nodes, and who is reached where: the answers that every cross-node value of the configuration is made from.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use apim_protocol::value::{AbsPath, Sha256, UnitName};

use super::home::Home;
use super::port;
use super::release::Version;
use super::role::Role;
use super::settings::Settings;
use super::settings::node::RoleSettings;
use crate::keystore::Opened;
use crate::yaml::Span;

/// A node's name: unique in the cluster, such as `gw1`, or `gw1/gateway` where a host carries several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(pub String);

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One component of the product on a host.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// What it is.
    pub role: Role,
    /// The host's name in the inventory.
    pub host: String,
    /// The name or address by which other nodes reach it, in every URL.
    pub peer: String,
    /// The address behind that name, where the inventory tells it.
    pub address: Option<Ipv4Addr>,
    /// What is added to its ports.
    pub offset: u16,
    /// The environments that a gateway serves, the main one first.
    pub environments: Vec<String>,
    /// The version it runs.
    pub version: Version,
    /// The digest of the zip it is made from.
    pub zip: Sha256,
    /// The name of its release on the host.
    pub release: String,
    /// Its folder below the install folder, such as `gateway`.
    pub component: String,
    /// Its paths.
    pub home: Home,
    /// Its systemd unit.
    pub unit: UnitName,
    /// The JDK it runs on.
    pub java_home: AbsPath,
    /// The host's settings.
    pub settings: Arc<Settings>,
    /// Its role's settings on this host.
    pub own: RoleSettings,
    /// Keystores that are placed, with their bytes.
    pub keystores: Vec<KeystoreFile>,
    /// Where the inventory names its host.
    pub place: Span,
}

/// A keystore for one node: the user's, or one that we issued.
#[derive(Debug, Clone)]
pub struct KeystoreFile {
    /// Where it lies on the host.
    pub path: AbsPath,
    /// What it holds.
    pub bytes: Arc<[u8]>,
    /// What is in it; `None` while it is still to be issued.
    pub opened: Option<Arc<Opened>>,
}

impl Node {
    /// Returns `base` as this node listens on it.
    #[must_use]
    pub const fn port(&self, base: u16) -> u16 {
        port::shifted(base, self.offset)
    }

    /// Returns `scheme://peer:port` for a port of this node.
    #[must_use]
    pub fn url(&self, scheme: &str, base: u16) -> String {
        format!("{scheme}://{}:{}", self.peer, self.port(base))
    }

    /// Returns what to connect to from another node: the address where it is known, else the name.
    #[must_use]
    pub fn reach(&self) -> String {
        self.address.map_or_else(|| self.peer.clone(), |address| address.to_string())
    }

    /// Returns the seconds that it may take to stop, before it is killed.
    #[must_use]
    pub fn stop_secs(&self) -> u64 {
        self.own.stop_secs.unwrap_or(self.role.stop_timeout_secs())
    }

    /// Returns the words for people, such as `key manager km1`.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} {}", self.role, self.host)
    }
}

/// Where a role, or the gateways of an environment, are reached from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The name.
    pub name: String,
    /// The port of the management services.
    pub port: u16,
    /// Whether something stands in front of the node or nodes (two of them, or another port than their own).
    pub fronted: bool,
    /// The address that the name must resolve to, as the inventory says.
    pub address: Option<Ipv4Addr>,
    /// Ports of API calls, for gateways.
    pub calls: Calls,
}

/// Ports of API calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// HTTP
    pub http: u16,
    /// HTTPS
    pub https: u16,
    /// WebSocket
    pub ws: u16,
    /// WebSocket over TLS
    pub wss: u16,
    /// `WebSub`
    pub websub_http: u16,
    /// `WebSub` over TLS
    pub websub_https: u16,
}

impl Endpoint {
    /// Returns `https://name[:port]` followed by `path`, without the port where it is HTTPS's own.
    #[must_use]
    pub fn https(&self, path: &str) -> String {
        url("https", &self.name, self.port, path)
    }

    /// Returns `host:port` for a TCP connection, by address where it is known.
    #[must_use]
    pub fn reach(&self) -> String {
        self.address.map_or_else(|| self.name.clone(), |address| address.to_string())
    }

    /// Returns the port that `own` is behind, where there is another one in front of it.
    #[must_use]
    pub const fn proxy_port(&self, own: u16) -> Option<u16> {
        if self.fronted && self.port != own { Some(self.port) } else { None }
    }
}

/// Returns a URL, without the port where it is the scheme's own.
#[must_use]
pub fn url(scheme: &str, name: &str, port: u16, path: &str) -> String {
    match (scheme, port) {
        ("https", 443) | ("http", 80) => format!("{scheme}://{name}{path}"),
        _ => format!("{scheme}://{name}:{port}{path}"),
    }
}
