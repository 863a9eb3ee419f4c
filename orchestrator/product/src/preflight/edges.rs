//! The connection matrix: source, target, port and purpose of every connection.
//!
//! Sources: the documentation's distributed deployment page; the templates in wso2/product-apim;
//! the configuration of helm-apim.

use crate::cluster::Cluster;
use crate::hosts_file;
use crate::port;
use crate::role::Role;
use crate::topology::{Endpoint, Node, NodeName};

/// The target of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A node, directly: connections to brokers and data receivers never use a load balancer.
    Node(NodeName),
    /// A role or environment, by its public name.
    Endpoint {
        /// The name.
        name: String,
        /// Whether a load balancer serves the name.
        fronted: bool,
        /// The nodes behind it.
        behind: Vec<NodeName>,
    },
    /// The database server.
    Database,
}

/// A connection that a node opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The target.
    pub target: Target,
    /// The name or address to connect to.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The purpose, for display.
    pub purpose: &'static str,
}

/// Returns all connections that `node` opens.
#[must_use]
pub fn of(cluster: &Cluster, node: &Node) -> Vec<Edge> {
    let mut edges = Vec::new();
    let mut direct = |to: &Node, base: u16, purpose| {
        edges.push(Edge {
            target: Target::Node(to.name.clone()),
            host: to.reach(),
            port: to.port(base),
            purpose,
        });
    };
    if node.role != Role::AllInOne {
        for hub in cluster.hubs().filter(|hub| hub.name != node.name) {
            direct(hub, port::BROKER, "events");
        }
    }
    if node.role == Role::Gateway {
        for throttler in cluster.throttlers() {
            direct(throttler, port::RECEIVER, "throttling data");
            direct(throttler, port::RECEIVER_AUTH, "throttling data, authentication");
            if !throttler.role.is_hub() {
                direct(throttler, port::BROKER, "throttling decisions");
            }
        }
    }
    if node.role == Role::TrafficManager {
        for peer in cluster.peers(node) {
            direct(peer, port::BROKER, "throttling decisions of its peer");
        }
    }
    if node.role.is_hub() {
        for peer in cluster.peers(node) {
            direct(peer, port::BROKER, "events of its peer");
            direct(peer, port::RECEIVER, "events to its peer");
            direct(peer, port::RECEIVER_AUTH, "events to its peer, authentication");
        }
    }
    let mut through = |endpoint: &Endpoint, behind: Vec<&Node>, purpose| {
        let ends = behind.iter().any(|node| node.address.is_some() && node.address == endpoint.address);
        edges.push(Edge {
            target: Target::Endpoint {
                name: endpoint.name.clone(),
                fronted: endpoint.fronted && !ends,
                behind: behind.iter().map(|node| node.name.clone()).collect(),
            },
            host: endpoint.reach(),
            port: endpoint.port,
            purpose,
        });
    };
    if !node.role.is_hub()
        && let Some(endpoint) = cluster.endpoint(Role::ControlPlane)
    {
        through(endpoint, cluster.hubs().collect(), "APIs, policies and notifications");
    }
    let managers: Vec<&Node> = cluster.of(Role::KeyManager).collect();
    if matches!(node.role, Role::Gateway | Role::ControlPlane)
        && !managers.is_empty()
        && let Some(endpoint) = cluster.endpoint(Role::KeyManager)
    {
        through(endpoint, managers, "tokens and keys");
    }
    if node.role == Role::ControlPlane {
        for environment in cluster.environments() {
            let name = &environment.name.value;
            if let Some(endpoint) = cluster.environment_endpoint(name) {
                through(endpoint, cluster.gateways_of(name).collect(), "management of gateways");
            }
        }
    }
    if let Some(databases) = &node.settings.databases {
        let address = hosts_file::database_address(cluster, &databases.host);
        edges.push(Edge {
            target: Target::Database,
            host: address.map_or_else(|| databases.host.clone(), |address| address.to_string()),
            port: databases.port,
            purpose: "databases",
        });
    }
    edges
}
