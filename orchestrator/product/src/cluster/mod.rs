//! The cluster: nodes by role in inventory order, and lookups between them.
//!
//! `build` creates it from the hosts' settings and collects all errors. This module does not render
//! configuration.

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
mod input;
mod keystores;
mod names;
mod own_keys;
#[cfg(test)]
mod tests;

pub use input::{FileError, FileReader, HostInput};

/// A host, with or without nodes.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name in the inventory.
    pub name: String,
    /// The name that other hosts use for it.
    pub peer: String,
    /// Its address, if the inventory contains it.
    pub address: Option<Ipv4Addr>,
    /// Whether it is a load balancer.
    pub is_load_balancer: bool,
    /// Whether it is a database server.
    pub is_database: bool,
    /// Its settings.
    pub settings: Arc<Settings>,
    /// The location of the host in the inventory, for errors that do not belong to a setting.
    pub place: yaml::Span,
}

/// A cluster whose settings are valid.
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
    /// TLS identities of load balancers by host, issued or provided by the user.
    balancers: BTreeMap<String, Identity>,
    /// The authority that issues the cluster's certificates, once it is known.
    authority: Option<Certificate>,
    /// Load balancer hooks by node.
    hooks: BTreeMap<NodeName, Arc<Hooks>>,
}

impl Cluster {
    /// Returns all nodes: by role, then in inventory order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the nodes, to add what is only known after the build.
    pub(super) fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// Returns the TLS identity of a load balancer, issued or provided by the user: a private key,
    /// and a certificate for the names of all endpoints.
    #[must_use]
    pub fn balancer_identity(&self, host: &str) -> Option<&Identity> {
        self.balancers.get(host)
    }

    /// Returns the authority that issued the nodes' certificates; `None` in other modes and before
    /// it exists.
    #[must_use]
    pub const fn authority(&self) -> Option<&Certificate> {
        self.authority.as_ref()
    }

    /// Sets the authority that issued the nodes' certificates.
    pub(super) fn set_authority(&mut self, authority: Certificate) {
        self.authority = Some(authority);
    }

    /// Returns the host of this name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// Sets the TLS identity of a load balancer.
    pub(super) fn set_balancer(&mut self, host: &str, identity: Identity) {
        self.balancers.insert(host.to_owned(), identity);
    }

    /// Sets the load balancer hooks of the nodes.
    pub fn set_hooks(&mut self, hooks: BTreeMap<NodeName, Arc<Hooks>>) {
        self.hooks = hooks;
    }

    /// Returns the load balancer hooks of a node, if it has any.
    #[must_use]
    pub fn hooks(&self, node: &NodeName) -> Option<&Arc<Hooks>> {
        self.hooks.get(node)
    }

    /// Adds notes for the operator; each note is kept once.
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

    /// Returns notes for the operator that are not errors.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Returns warnings with their locations: settings that are valid, but probably not intended.
    #[must_use]
    pub const fn warnings(&self) -> &Mistakes {
        &self.warnings
    }

    /// Returns the configured start order.
    #[must_use]
    pub fn start_order(&self) -> StartOrder {
        self.nodes.first().map(|node| node.settings.start_order).unwrap_or_default()
    }

    /// Returns the gateway environments.
    #[must_use]
    pub fn environments(&self) -> &[Environment] {
        &self.environments
    }

    /// Returns the nodes that run the event hub: portals, internal data service, broker.
    pub fn hubs(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.role.is_hub())
    }

    /// Returns the nodes that decide on throttling: the traffic managers, or the hubs if there are
    /// none.
    #[must_use]
    pub fn throttlers(&self) -> Vec<&Node> {
        let own: Vec<&Node> = self.of(Role::TrafficManager).collect();
        if own.is_empty() { self.hubs().collect() } else { own }
    }

    /// Returns the port of brokers, without offset.
    #[must_use]
    pub fn broker(&self) -> u16 {
        let over_tls = self.nodes.first().is_some_and(|node| node.settings.messaging.broker_tls);
        if over_tls { port::BROKER_TLS } else { port::BROKER }
    }

    /// Returns whether other nodes subscribe to this node's broker.
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

    /// Returns the disruption budget of a role, if the inventory sets it.
    #[must_use]
    pub fn allowance(&self, role: Role) -> Option<Allowance> {
        self.of(role).find_map(|node| node.own.max_unavailable.as_ref()).map(|at| at.value)
    }

    /// Returns the other nodes with the same role.
    pub fn peers<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        self.nodes.iter().filter(move |other| other.role == node.role && other.name != node.name)
    }

    /// Returns the endpoint of a role. The hubs replace a role that the cluster does not have.
    #[must_use]
    pub fn endpoint(&self, role: Role) -> Option<&Endpoint> {
        self.endpoints.get(&role).or_else(|| self.endpoints.get(&Role::ControlPlane))
    }

    /// Returns the endpoint of an environment's gateways.
    #[must_use]
    pub fn environment_endpoint(&self, environment: &str) -> Option<&Endpoint> {
        self.environment_endpoints.get(environment)
    }

    /// Returns the additional endpoints for API calls of an environment.
    #[must_use]
    pub fn virtual_hosts(&self, environment: &str) -> &[Endpoint] {
        self.virtual_hosts.get(environment).map_or(&[], Vec::as_slice)
    }

    /// Returns all endpoints, those of environments last.
    pub fn all_endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        let more = self.virtual_hosts.values().flatten();
        self.endpoints.values().chain(self.environment_endpoints.values()).chain(more)
    }

    /// Returns the endpoint whose name is the `server.hostname` of `node`.
    #[must_use]
    pub fn endpoint_of(&self, node: &Node) -> Option<&Endpoint> {
        match node.role {
            Role::Gateway => node.environments.first().and_then(|name| self.environment_endpoint(name)),
            Role::AllInOne => self.endpoint(Role::ControlPlane),
            Role::ControlPlane | Role::KeyManager | Role::TrafficManager => self.endpoint(node.role),
        }
    }
}
