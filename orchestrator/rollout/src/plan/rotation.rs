//! How the nodes of a plan are drained and undrained, and which other nodes count against a budget.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use apim_protocol::operation::Operation;
use apim_protocol::operation::wait::Condition;

use super::model::{Balancer, Peer, Plan, Rotation};
use apim_product::NodeName;
use apim_product::load_balancer::{self, DesiredFiles, RotationState};
use apim_product::{Cluster, Gate, Node, health, port};
use apim_transport::host::HostName;

impl Plan {
    /// Adds how its nodes are drained and undrained. A role with one node is not drained, because
    /// no other node could serve. `whole` is the cluster before a host is removed: external load
    /// balancers still know that host.
    pub fn rotate(&mut self, cluster: &Cluster, whole: &Cluster) {
        for name in self.worked_on() {
            let Some(node) = whole.nodes().iter().find(|node| node.name == name) else { continue };
            if whole.of(node.role).nth(1).is_none() {
                continue;
            }
            let balancers = self.balancers(cluster, node);
            let hooks = whole.hooks(&name).cloned();
            if !balancers.is_empty() || hooks.is_some() {
                let rotation = Rotation {
                    host: HostName(node.host.clone()),
                    balancers,
                    hooks,
                    quiet: quiet(cluster, node),
                    limit_secs: u64::from(node.settings.load_balancer.drain_secs),
                };
                self.rotations.insert(name, rotation);
            }
        }
    }

    /// Adds the nodes of all roles in which the plan may take a node down.
    pub fn look_beside(&mut self, cluster: &Cluster) {
        let worked_on = self.worked_on();
        self.add_peers(cluster, &worked_on);
    }

    /// Records that the plan drains its nodes, and adds the other nodes of their roles, which must
    /// stay in service.
    pub fn drain(&mut self, cluster: &Cluster) {
        let drained = self.steps_with_rescues().filter_map(|(_, step)| step.node.clone()).collect();
        self.drains = true;
        self.add_peers(cluster, &drained);
    }

    fn add_peers(&mut self, cluster: &Cluster, worked_on: &BTreeSet<NodeName>) {
        for node in cluster.nodes() {
            let is_worked_on = worked_on.contains(&node.name);
            if !is_worked_on && !cluster.peers(node).any(|peer| worked_on.contains(&peer.name)) {
                continue;
            }
            let is_alone = cluster.peers(node).next().is_none();
            let balancers = if is_alone { Vec::new() } else { self.balancers(cluster, node) };
            self.peers.push(Peer {
                node: node.name.clone(),
                host: HostName(node.host.clone()),
                pool: node.role.group().to_owned(),
                healthy: Operation::Wait(Box::new(health::wait(cluster, node, Gate::Started))),
                is_worked_on,
                returned: cluster.hooks(&node.name).map(|hooks| hooks.unmarked()),
                balancers,
            });
        }
    }

    /// Returns the nodes that it may take down.
    fn worked_on(&self) -> BTreeSet<NodeName> {
        let steps = self.stages.iter().flat_map(|stage| &stage.lanes).flat_map(|lane| &lane.steps);
        let may =
            steps.filter(|step| step.budget.is_some() && !step.proves_health && !step.options.check_only);
        may.filter_map(|step| step.node.clone()).collect()
    }

    fn balancers(&mut self, cluster: &Cluster, node: &Node) -> Vec<Balancer> {
        // Errors were reported when the cluster was built.
        let held = load_balancer::rotation_files(cluster, node, RotationState::Drained).unwrap_or_default();
        let open =
            load_balancer::rotation_files(cluster, node, RotationState::InRotation).unwrap_or_default();
        let mut open: BTreeMap<String, _> = open.into_iter().collect();
        let mut all = Vec::new();
        for (host, DesiredFiles { bundle: drain, contents }) in held {
            let Some(DesiredFiles { bundle: undrain, contents: more }) = open.remove(&host) else { continue };
            let Some(known_by) = drain.files.first().map(|file| file.path.clone()) else { continue };
            for bytes in contents.into_iter().chain(more) {
                self.contents.add(bytes);
            }
            all.push(Balancer {
                host: HostName(host),
                known_by,
                drain: Operation::Bundle(drain),
                undrain: Operation::Bundle(undrain),
            });
        }
        all
    }
}

/// Returns the condition that no load balancer is connected to the serving ports of `node`. If an
/// address is unknown, all connections from outside the cluster count.
#[must_use]
pub fn quiet(cluster: &Cluster, node: &Node) -> Condition {
    let ports = port::serving(node.role).into_iter().map(|(_, base)| node.port(base)).collect();
    let external = &node.settings.load_balancer.addresses;
    // Of external load balancers only the addresses in the inventory are known.
    let is_known = cluster.hooks(&node.name).is_none() || !external.is_empty();
    let managed = load_balancer::hosts(cluster).map(|host| host.address);
    let from: Option<Vec<IpAddr>> =
        managed.chain(external.iter().copied().map(Some)).map(|address| address.map(IpAddr::V4)).collect();
    let from = from.filter(|_| is_known).unwrap_or_default();
    let nodes = cluster.nodes().iter().filter_map(|node| node.address.map(IpAddr::V4));
    let except = if from.is_empty() { nodes.collect() } else { Vec::new() };
    Condition::Quiet { ports, from, except }
}
