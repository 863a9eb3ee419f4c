//! The cluster: nodes in inventory order by role, and the questions that they have about each other.
//!
//! `build` makes it from the hosts' settings and finds every mistake; nothing here writes configuration.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::availability::Allowance;
use super::hook::Hooks;
use super::port;
use super::role::{Role, StartOrder};
use super::settings::Settings;
use super::settings::environments::Environment;
use super::topology::{Endpoint, Node, NodeName};
use crate::keystore::{Certificate, Identity};
use crate::yaml::{self, Mistakes};

pub(super) mod build;
mod check;
mod endpoints;
mod keystores;
mod names;
mod own_keys;
#[cfg(test)]
mod tests;

/// What the inventory says of one host.
#[derive(Debug, Clone)]
pub struct HostInput {
    /// Its name in the inventory.
    pub name: String,
    /// Where we connect to: a name or an address.
    pub address: String,
    /// All its groups, those of its groups too, the nearest last.
    pub groups: Vec<String>,
    /// Its variable `apim`, merged.
    pub apim: yaml::Node,
    /// Where the inventory names it.
    pub place: yaml::Span,
}

/// Reads the files of the user that settings name (keystores), as bytes.
pub trait FileReader {
    /// Returns the content of `path`, which was written at `place`; a relative path is from that file's folder.
    ///
    /// # Errors
    /// Why it cannot be read, as a fragment.
    fn read(&self, path: &str, place: &yaml::Span) -> Result<Vec<u8>, String>;
}

impl<F: Fn(&str, &yaml::Span) -> Result<Vec<u8>, String>> FileReader for F {
    fn read(&self, path: &str, place: &yaml::Span) -> Result<Vec<u8>, String> {
        self(path, place)
    }
}

/// A host, whether it carries nodes or not.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name in the inventory.
    pub name: String,
    /// The name by which others reach it.
    pub peer: String,
    /// Its address, where the inventory tells it.
    pub address: Option<Ipv4Addr>,
    /// Whether it is a load balancer.
    pub is_load_balancer: bool,
    /// Whether it is a database server.
    pub is_database: bool,
    /// Its settings.
    pub settings: Arc<Settings>,
    /// Where the inventory names it: the place of what is wrong with it when no setting is.
    pub place: yaml::Span,
}

/// A whole cluster, without a mistake.
#[derive(Debug, Clone)]
pub struct Cluster {
    hosts: Vec<Host>,
    nodes: Vec<Node>,
    environments: Vec<Environment>,
    endpoints: BTreeMap<Role, Endpoint>,
    environment_endpoints: BTreeMap<String, Endpoint>,
    virtual_hosts: BTreeMap<String, Vec<Endpoint>>,
    notes: Vec<String>,
    warnings: Mistakes,
    /// Identities of load balancers, issued or the user's, by host.
    balancers: BTreeMap<String, Identity>,
    /// Who issues the cluster's certificates, once it is known.
    authority: Option<Certificate>,
    /// Hooks of load balancers, by node.
    hooks: BTreeMap<NodeName, Arc<Hooks>>,
}

impl Cluster {
    /// Returns all nodes: by role, then in inventory order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the nodes, to hand them what is made after the cluster.
    pub(super) fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// Returns what a load balancer shows its clients, issued or the user's: a private key, and a certificate for every endpoint's name.
    #[must_use]
    pub fn balancer_identity(&self, host: &str) -> Option<&Identity> {
        self.balancers.get(host)
    }

    /// Returns who issued the nodes' certificates, in mode `issued` and once there is one.
    #[must_use]
    pub const fn authority(&self) -> Option<&Certificate> {
        self.authority.as_ref()
    }

    /// Tells who issued the nodes' certificates.
    pub(super) fn set_authority(&mut self, authority: Certificate) {
        self.authority = Some(authority);
    }

    /// Returns the host of this name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// Hands a load balancer's host what it shows its clients.
    pub(super) fn set_balancer(&mut self, host: &str, identity: Identity) {
        self.balancers.insert(host.to_owned(), identity);
    }

    /// Hands the nodes the hooks by which load balancers are told of them.
    pub fn set_hooks(&mut self, hooks: BTreeMap<NodeName, Arc<Hooks>>) {
        self.hooks = hooks;
    }

    /// Returns the hooks by which load balancers are told of a node, if it has any.
    #[must_use]
    pub fn hooks(&self, node: &NodeName) -> Option<&Arc<Hooks>> {
        self.hooks.get(node)
    }

    /// Adds what the operator should know.
    pub fn tell(&mut self, notes: impl IntoIterator<Item = String>) {
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    /// Returns all hosts in inventory order.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Returns the nodes of a host.
    pub fn nodes_on<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Node> {
        self.nodes.iter().filter(move |node| node.host == host)
    }

    /// Returns the nodes of a role.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.role == role)
    }

    /// Returns what the operator should know, though it is no mistake.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns what is very likely not meant, though it is no mistake: each with its place.
    #[must_use]
    pub const fn warnings(&self) -> &Mistakes {
        &self.warnings
    }

    /// Returns the order of starting that the inventory asks for.
    #[must_use]
    pub fn start_order(&self) -> StartOrder {
        self.nodes.first().map(|node| node.settings.start_order).unwrap_or_default()
    }

    /// Returns the environments that gateways serve.
    #[must_use]
    pub fn environments(&self) -> &[Environment] {
        &self.environments
    }

    /// Returns the nodes that run the event hub: portals, internal data service, broker.
    pub fn hubs(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.role.is_hub())
    }

    /// Returns the nodes that decide on throttling: the traffic managers, or the hubs where there are none.
    #[must_use]
    pub fn throttlers(&self) -> Vec<&Node> {
        let own: Vec<&Node> = self.of(Role::TrafficManager).collect();
        if own.is_empty() { self.hubs().collect() } else { own }
    }

    /// Returns the port, offset aside, at which nodes subscribe to brokers.
    #[must_use]
    pub fn broker(&self) -> u16 {
        let over_tls = self.nodes.first().is_some_and(|node| node.settings.messaging.broker_tls);
        if over_tls { port::BROKER_TLS } else { port::BROKER }
    }

    /// Says whether anybody subscribes to this node's broker.
    #[must_use]
    pub fn serves_broker(&self, node: &Node) -> bool {
        node.role.is_hub() || node.role == Role::TrafficManager
    }

    /// Returns the gateways of an environment.
    pub fn gateways_of<'a>(&'a self, environment: &'a str) -> impl Iterator<Item = &'a Node> {
        self.nodes.iter().filter(move |node| {
            node.role.is_gateway() && node.environments.iter().any(|name| name == environment)
        })
    }

    /// Returns how many nodes of a role may be down at once, where the inventory says so.
    #[must_use]
    pub fn allowance(&self, role: Role) -> Option<Allowance> {
        self.of(role).find_map(|node| node.own.max_unavailable.as_ref()).map(|at| at.value)
    }

    /// Returns the other nodes of this one's role.
    pub fn peers<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        self.nodes.iter().filter(move |other| other.role == node.role && other.name != node.name)
    }

    /// Returns where a role is reached; a role that the cluster has not is played by the hubs.
    #[must_use]
    pub fn endpoint(&self, role: Role) -> Option<&Endpoint> {
        self.endpoints.get(&role).or_else(|| self.endpoints.get(&Role::ControlPlane))
    }

    /// Returns where the gateways of an environment are reached.
    #[must_use]
    pub fn environment_endpoint(&self, environment: &str) -> Option<&Endpoint> {
        self.environment_endpoints.get(environment)
    }

    /// Returns the further names under which the APIs of an environment are called.
    #[must_use]
    pub fn virtual_hosts(&self, environment: &str) -> &[Endpoint] {
        self.virtual_hosts.get(environment).map_or(&[], Vec::as_slice)
    }

    /// Returns every endpoint, those of environments last.
    pub fn all_endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        let more = self.virtual_hosts.values().flatten();
        self.endpoints.values().chain(self.environment_endpoints.values()).chain(more)
    }

    /// Returns the endpoint under whose name `node` is known to the world: its `server.hostname`.
    #[must_use]
    pub fn endpoint_of(&self, node: &Node) -> Option<&Endpoint> {
        match node.role {
            Role::Gateway => node.environments.first().and_then(|name| self.environment_endpoint(name)),
            Role::AllInOne => self.endpoint(Role::ControlPlane),
            Role::ControlPlane | Role::KeyManager | Role::TrafficManager => self.endpoint(node.role),
        }
    }
}
