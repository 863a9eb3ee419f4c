//! Nodes and endpoints: the source of every cross-node value in the configuration.

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

/// A node's name: unique in the cluster, such as `gw1`, or `gw1/gateway` if a host has several
/// nodes.
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
    /// The address of that name, if the inventory contains it.
    pub address: Option<Ipv4Addr>,
    /// The port offset.
    pub offset: u16,
    /// The environments of a gateway, the main one first.
    pub environments: Vec<String>,
    /// The desired product version.
    pub version: Version,
    /// The digest of its distribution zip.
    pub zip: Sha256,
    /// The name of its release on the host.
    pub release: String,
    /// Its folder name below the install folder, such as `gateway`.
    pub component: String,
    /// Its paths.
    pub home: Home,
    /// Its systemd unit.
    pub unit: UnitName,
    /// The home of its JDK.
    pub java_home: AbsPath,
    /// The host's settings.
    pub settings: Arc<Settings>,
    /// Its role's settings on this host.
    pub own: RoleSettings,
    /// Keystores to write, with their bytes.
    pub keystores: Vec<KeystoreFile>,
    /// The source position of its host in the inventory.
    pub place: Span,
}

/// A keystore of a node, provided by the user or issued by apim-deploy.
#[derive(Debug, Clone)]
pub struct KeystoreFile {
    /// The path on the host.
    pub path: AbsPath,
    /// The encoded keystore.
    pub bytes: Arc<[u8]>,
    /// The opened keystore; `None` if it is not issued yet.
    pub opened: Option<Arc<Opened>>,
}

impl Node {
    /// Returns port `base` with this node's offset.
    #[must_use]
    pub const fn port(&self, base: u16) -> u16 {
        port::shifted(base, self.offset)
    }

    /// Returns `scheme://peer:port` for a port of this node.
    #[must_use]
    pub fn url(&self, scheme: &str, base: u16) -> String {
        format!("{scheme}://{}:{}", self.peer, self.port(base))
    }

    /// Returns the target for connections from other nodes: the address if known, else the name.
    #[must_use]
    pub fn reach(&self) -> String {
        self.address.map_or_else(|| self.peer.clone(), |address| address.to_string())
    }

    /// Returns the stop timeout in seconds; after it the node is killed.
    #[must_use]
    pub fn stop_secs(&self) -> u64 {
        self.own.stop_secs.unwrap_or(self.role.stop_timeout_secs())
    }

    /// Returns the display name, such as `key manager km1`.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} {}", self.role, self.host)
    }
}

/// The public address of a role, or of an environment's gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The name.
    pub name: String,
    /// The port of the management services.
    pub port: u16,
    /// Whether a load balancer serves it (several nodes, or a different port than the node's own).
    pub fronted: bool,
    /// The address that the name must resolve to, from the inventory.
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
    /// Returns `https://name[:port]` followed by `path`, without the port if it is 443.
    #[must_use]
    pub fn https(&self, path: &str) -> String {
        url("https", &self.name, self.port, path)
    }

    /// Returns `host:port` for a TCP connection, by address if known.
    #[must_use]
    pub fn reach(&self) -> String {
        self.address.map_or_else(|| self.name.clone(), |address| address.to_string())
    }

    /// Returns the public port for `own`, if it is different.
    #[must_use]
    pub const fn proxy_port(&self, own: u16) -> Option<u16> {
        if self.fronted && self.port != own { Some(self.port) } else { None }
    }
}

/// Returns a URL, without the port if it is the scheme's default.
#[must_use]
pub fn url(scheme: &str, name: &str, port: u16, path: &str) -> String {
    match (scheme, port) {
        ("https", 443) | ("http", 80) => format!("{scheme}://{name}{path}"),
        _ => format!("{scheme}://{name}:{port}{path}"),
    }
}
