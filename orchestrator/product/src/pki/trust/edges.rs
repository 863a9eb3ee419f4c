//! All TLS connections between nodes, and from nodes to load balancers, with the URLs from
//! `config`.

use crate::cluster::Cluster;
use crate::port::{BROKER_TLS, HTTPS, RECEIVER_AUTH};
use crate::role::Role;
use crate::topology::{Endpoint, Node};

/// The server that presents the certificate.
#[derive(Debug, Clone, Copy)]
pub enum Callee<'a> {
    /// A node.
    Node(&'a Node),
    /// A load balancer.
    Balancer,
}

/// A TLS connection.
#[derive(Debug, Clone)]
pub struct Edge<'a> {
    /// The client node.
    pub caller: &'a Node,
    /// The server that presents the certificate.
    pub callee: Callee<'a>,
    /// The name or address in the URL.
    pub name: String,
    /// The whole URL.
    pub url: String,
    /// The configuration keys with this URL.
    pub purpose: &'static str,
}

impl Edge<'_> {
    /// Returns the connection for display.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} connects to {} ({})", self.caller.words(), self.url, self.purpose)
    }
}

/// Returns all TLS connections of the cluster, in node order.
#[must_use]
pub fn edges(cluster: &Cluster) -> Vec<Edge<'_>> {
    let mut edges = Vec::new();
    let hubs: Vec<&Node> = cluster.hubs().collect();
    let throttlers = cluster.throttlers();
    for caller in cluster.nodes() {
        let mut found = Found { cluster, caller, edges: &mut edges };
        if let Some(endpoint) = cluster.endpoint(Role::ControlPlane) {
            found.endpoint(endpoint, &hubs, "[apim.event_hub] service_url");
        }
        let key_managers: Vec<&Node> = cluster.of(Role::KeyManager).collect();
        let asks_keys = matches!(caller.role, Role::Gateway | Role::ControlPlane | Role::AllInOne);
        if let Some(endpoint) = cluster.endpoint(Role::KeyManager)
            && asks_keys
            && !key_managers.is_empty()
        {
            found.endpoint(endpoint, &key_managers, "[apim.key_manager] service_url");
        }
        if caller.role.is_hub() {
            for environment in cluster.environments() {
                let name = &environment.name.value;
                let gateways: Vec<&Node> = cluster.gateways_of(name).collect();
                if let Some(endpoint) = cluster.environment_endpoint(name) {
                    found.endpoint(endpoint, &gateways, "service_url of an environment");
                }
            }
            for hub in &hubs {
                found.node(hub, "ssl", RECEIVER_AUTH, "[[apim.event_hub.publish.url_group]] auth_urls");
            }
            let url = format!("https://localhost:{}", caller.port(HTTPS));
            let callee = Callee::Node(caller);
            let purpose = "its own portals and notifications";
            edges.push(Edge { caller, callee, name: "localhost".to_owned(), url, purpose });
            found = Found { cluster, caller, edges: &mut edges };
        }
        if cluster.broker() == BROKER_TLS {
            found.brokers(&hubs, &throttlers);
        }
        if caller.role == Role::Gateway || (caller.role == Role::AllInOne && throttlers.len() > 1) {
            for other in &throttlers {
                found.node(
                    other,
                    "ssl",
                    RECEIVER_AUTH,
                    "[[apim.throttling.url_group]] traffic_manager_auth_urls",
                );
            }
        }
    }
    edges
}

struct Found<'a, 'e> {
    cluster: &'a Cluster,
    caller: &'a Node,
    edges: &'e mut Vec<Edge<'a>>,
}

impl<'a> Found<'a, '_> {
    fn node(&mut self, callee: &'a Node, scheme: &str, port: u16, purpose: &'static str) {
        self.edges.push(Edge {
            caller: self.caller,
            callee: Callee::Node(callee),
            name: callee.peer.clone(),
            url: callee.url(scheme, port),
            purpose,
        });
    }

    /// Nodes subscribe to brokers directly. A node with one of several brokers publishes to the
    /// others and subscribes to its own.
    fn brokers(&mut self, hubs: &[&'a Node], throttlers: &[&'a Node]) {
        let caller = self.caller;
        let others =
            |known: &[&'a Node]| known.iter().filter(|node| node.name != caller.name).copied().collect();
        let heard: Vec<&Node> = match caller.role {
            Role::TrafficManager => throttlers.iter().chain(hubs).copied().collect(),
            Role::Gateway => hubs.iter().chain(throttlers).copied().collect(),
            Role::KeyManager | Role::ControlPlane | Role::AllInOne => hubs.to_vec(),
        };
        let heard: Vec<&Node> = others(&heard);
        for node in heard {
            self.node(node, "amqps", BROKER_TLS, "events over TLS (apim.broker_tls)");
        }
    }

    fn endpoint(&mut self, endpoint: &Endpoint, nodes: &[&'a Node], purpose: &'static str) {
        let mut add = |callee| {
            self.edges.push(Edge {
                caller: self.caller,
                callee,
                name: endpoint.name.clone(),
                url: endpoint.https("/"),
                purpose,
            });
        };
        let behind = behind(self.cluster, endpoint, nodes);
        if behind.is_empty() {
            add(Callee::Balancer);
        }
        for node in behind {
            add(Callee::Node(node));
        }
    }
}

/// Returns the nodes that serve an endpoint themselves; empty if a load balancer serves it.
fn behind<'a>(cluster: &Cluster, endpoint: &Endpoint, nodes: &[&'a Node]) -> Vec<&'a Node> {
    if !endpoint.fronted {
        return nodes.to_vec();
    }
    let has_balancer = cluster.hosts().iter().any(|host| host.is_load_balancer);
    let first = nodes.first().filter(|node| node.address.is_some() && node.address == endpoint.address);
    // Without a load balancer the name resolves to the first node's address.
    if has_balancer { Vec::new() } else { first.copied().into_iter().collect() }
}
