//! The topology as a diagram: hosts, nodes with their ports, load balancer, database, and
//! connections.
//!
//! `model` is plain data; `text` writes DOT and Mermaid, `svg` draws SVG. Connections are those of
//! the configuration and of the health checks (documentation, "distributed deployment", the tables
//! of ports and of traffic between components).

use super::cluster::{Cluster, Host};
use super::port;
use super::role::Role;
use super::topology::{Endpoint, Node};

mod model;
mod svg;
#[cfg(test)]
mod tests;
mod text;

pub use model::{Arrow, Graph, Kind, Layer, Vertex};

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// SVG for browsers.
    Svg,
    /// DOT for Graphviz.
    Dot,
    /// Mermaid for Markdown.
    Mermaid,
}

impl Graph {
    /// Returns the diagram of a cluster.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        let mut drawing =
            Drawing { cluster, graph: Self { vertices: Vec::new(), arrows: Vec::new() }, front: None };
        drawing.vertices();
        drawing.requests();
        for node in cluster.nodes() {
            drawing.connections(node);
        }
        let mut graph = drawing.graph;
        graph.vertices.sort_by_key(|vertex| vertex.layer);
        graph.arrows.sort();
        graph
    }

    /// Returns the diagram in this format.
    #[must_use]
    pub fn written(&self, format: Format) -> String {
        match format {
            Format::Svg => svg::written(self),
            Format::Dot => text::dot(self),
            Format::Mermaid => text::mermaid(self),
        }
    }
}

const CLIENTS: &str = "clients";
const DATABASE: &str = "database";

struct Drawing<'a> {
    cluster: &'a Cluster,
    graph: Graph,
    /// The id of the load balancer, if any endpoint has one.
    front: Option<String>,
}

impl Drawing<'_> {
    fn vertices(&mut self) {
        let cluster = self.cluster;
        self.graph.vertices.push(Vertex {
            id: CLIENTS.to_owned(),
            layer: Layer::Clients,
            host: None,
            title: CLIENTS.to_owned(),
            lines: Vec::new(),
        });
        let names = names(cluster);
        let balancers: Vec<&Host> = cluster.hosts().iter().filter(|host| host.is_load_balancer).collect();
        if let Some(first) = balancers.first() {
            let all: Vec<&str> = balancers.iter().map(|host| host.name.as_str()).collect();
            let mut lines: Vec<String> = balancers.iter().filter_map(|host| address(host)).collect();
            lines.extend(names);
            let id = id("balancer", &first.name);
            self.graph.vertices.push(Vertex {
                id: id.clone(),
                layer: Layer::Balancer,
                host: Some(first.name.clone()),
                title: format!("load balancer {}", all.join(", ")),
                lines,
            });
            self.front = Some(id);
        } else if cluster.all_endpoints().any(|endpoint| endpoint.fronted) {
            let id = "balancer".to_owned();
            self.graph.vertices.push(Vertex {
                id: id.clone(),
                layer: Layer::Balancer,
                host: None,
                title: "load balancer (not in the inventory)".to_owned(),
                lines: names,
            });
            self.front = Some(id);
        }
        for node in cluster.nodes() {
            let mut lines: Vec<String> =
                node.address.map(|address| address.to_string()).into_iter().collect();
            lines.push(format!("{} {}", node.role.product(), node.version));
            if node.role == Role::Gateway {
                lines.push(format!("environment {}", node.environments.join(", ")));
            }
            let ports = port::ports(node.role, node.offset);
            let ports: Vec<String> =
                ports.iter().filter(|port| port.awaited).map(|port| port.number.to_string()).collect();
            lines.push(format!("ports {}", ports.join(" ")));
            self.graph.vertices.push(Vertex {
                id: name_of(node),
                layer: layer(node.role),
                host: Some(node.host.clone()),
                title: node.words(),
                lines,
            });
        }
        if let Some(databases) = cluster.nodes().iter().find_map(|node| node.settings.databases.as_ref()) {
            let known = cluster.hosts().iter().find(|host| host.is_database && host.name == databases.host);
            let mut lines: Vec<String> = known.and_then(address).into_iter().collect();
            lines.push(format!("{} on port {}", databases.kind.word(), databases.port));
            lines.push(format!("{}, {}", databases.apim_db.name, databases.shared_db.name));
            let host = known.map(|host| host.name.clone());
            let title = format!("database {}", databases.host);
            self.graph.vertices.push(Vertex {
                id: DATABASE.to_owned(),
                layer: Layer::Data,
                host,
                title,
                lines,
            });
        }
    }

    /// Adds the request paths from clients through load balancers to the nodes.
    fn requests(&mut self) {
        let cluster = self.cluster;
        for role in [Role::ControlPlane, Role::KeyManager] {
            let nodes: Vec<&Node> = if role == Role::ControlPlane {
                cluster.hubs().collect()
            } else {
                cluster.of(role).collect()
            };
            if let (Some(endpoint), false) = (cluster.endpoint(role), nodes.is_empty()) {
                self.reach(CLIENTS, endpoint, &nodes, (&[endpoint.port], &[port::HTTPS]));
            }
        }
        for environment in cluster.environments() {
            let nodes: Vec<&Node> = cluster.gateways_of(&environment.name.value).collect();
            let Some(endpoint) = cluster.environment_endpoint(&environment.name.value) else { continue };
            let calls = [endpoint.calls.https, endpoint.calls.http];
            self.reach(CLIENTS, endpoint, &nodes, (&calls, &[port::GATEWAY_HTTPS, port::GATEWAY_HTTP]));
        }
    }

    /// Adds the path to an endpoint: through the load balancer to all nodes, or directly to a
    /// single node. `asked` are the endpoint's ports, `own` the nodes' ports.
    fn reach(&mut self, from: &str, endpoint: &Endpoint, nodes: &[&Node], (asked, own): (&[u16], &[u16])) {
        let front = self.front.clone().filter(|_| endpoint.fronted);
        if let Some(front) = &front {
            self.graph.arrow(from, front, Kind::Http, asked);
        }
        for node in nodes {
            let shifted: Vec<u16> = own.iter().map(|base| node.port(*base)).collect();
            self.graph.arrow(front.as_deref().unwrap_or(from), &name_of(node), Kind::Http, &shifted);
        }
    }

    fn connections(&mut self, node: &Node) {
        let cluster = self.cluster;
        let from = name_of(node);
        let hubs: Vec<&Node> = cluster.hubs().collect();
        let throttlers = cluster.throttlers();
        if node.settings.databases.is_some()
            && let Some(databases) = &node.settings.databases
        {
            self.graph.arrow(&from, DATABASE, Kind::Sql, &[databases.port]);
        }
        if !node.role.is_hub() {
            for hub in &hubs {
                self.graph.arrow(&from, &name_of(hub), Kind::Events, &[hub.port(cluster.broker())]);
            }
            if let Some(endpoint) = cluster.endpoint(Role::ControlPlane) {
                self.reach(&from, endpoint, &hubs, (&[endpoint.port], &[port::HTTPS]));
            }
        }
        let key_managers: Vec<&Node> = cluster.of(Role::KeyManager).collect();
        let asks_keys = node.role.is_gateway() || node.role.is_hub();
        if let (Some(endpoint), true, false) =
            (cluster.endpoint(Role::KeyManager), asks_keys, key_managers.is_empty())
        {
            self.reach(&from, endpoint, &key_managers, (&[endpoint.port], &[port::HTTPS]));
        }
        if node.role.is_gateway() {
            for other in &throttlers {
                let to = name_of(other);
                self.graph.arrow(&from, &to, Kind::Events, &[other.port(cluster.broker())]);
                let data = [other.port(port::RECEIVER), other.port(port::RECEIVER_AUTH)];
                self.graph.arrow(&from, &to, Kind::Throttling, &data);
            }
        }
        if node.role.is_hub() {
            for environment in cluster.environments() {
                let name = &environment.name.value;
                let gateways: Vec<&Node> = cluster.gateways_of(name).collect();
                if let Some(endpoint) = cluster.environment_endpoint(name) {
                    self.reach(&from, endpoint, &gateways, (&[endpoint.port], &[port::HTTPS]));
                }
            }
            for peer in cluster.peers(node) {
                let ports = [port::RECEIVER, port::RECEIVER_AUTH].map(|base| peer.port(base));
                self.graph.arrow(&from, &name_of(peer), Kind::Events, &ports);
            }
        }
    }
}

const fn layer(role: Role) -> Layer {
    match role {
        Role::Gateway => Layer::Edge,
        Role::ControlPlane | Role::KeyManager | Role::AllInOne => Layer::Core,
        Role::TrafficManager => Layer::Traffic,
    }
}

/// The load balancer's names with ports, without duplicates.
fn names(cluster: &Cluster) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for endpoint in cluster.all_endpoints().filter(|endpoint| endpoint.fronted) {
        let name = format!("{}:{}", endpoint.name, endpoint.port);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn address(host: &Host) -> Option<String> {
    host.address.map(|address| address.to_string())
}

fn name_of(node: &Node) -> String {
    id("node", &node.name.0)
}

/// Returns an identifier that is valid in every format. Other characters are replaced by their
/// code, so identifiers stay unique.
fn id(kind: &str, name: &str) -> String {
    let mut id = format!("{kind}_");
    for c in name.chars() {
        if c.is_ascii_alphanumeric() { id.push(c) } else { id.push_str(&format!("_{:x}_", u32::from(c))) }
    }
    id
}
