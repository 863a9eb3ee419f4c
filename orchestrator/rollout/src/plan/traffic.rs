//! How the nodes of a plan are drained and undrained, and which other nodes count against a budget.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use apim_protocol::operation::Operation;
use apim_protocol::operation::wait::Condition;

use super::model::{Balancer, Contents, Peer, Rotation};
use super::options::Disruption;
use super::plan_draft::{DraftStage, steps};
use apim_product::load_balancer::{self, DesiredFiles, RotationState};
use apim_product::{Cluster, Gate, Node, NodeName, health, port};
use apim_transport::host::HostName;

/// How a plan takes nodes down.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic {
    pub(super) rotations: BTreeMap<NodeName, Rotation>,
    pub(super) peers: Vec<Peer>,
    /// Whether the nodes of the plan stay drained after the run.
    pub(super) stays_drained: bool,
    /// Content of the operations on load balancers.
    pub(super) contents: Contents,
}

impl Traffic {
    /// Returns how the stages take nodes of `cluster` down.
    pub(super) fn of(stages: &[DraftStage], cluster: &Cluster, how: &Disruption<'_>) -> Self {
        let mut traffic = Self { stays_drained: how.stays_drained, ..Self::default() };
        let disrupted = disrupted(stages);
        traffic.add_peers(cluster, &disrupted);
        if how.stays_drained {
            // The other nodes of their roles must stay in service.
            let drained = steps(stages).filter_map(|step| step.draft.node.clone()).collect();
            traffic.add_peers(cluster, &drained);
        }
        if how.drains {
            traffic.add_rotations(cluster, how.budget_cluster, disrupted);
        }
        traffic
    }

    /// Adds how `nodes` are drained and undrained. A role with one node is not drained, because no
    /// other node could serve.
    fn add_rotations(&mut self, cluster: &Cluster, budget_cluster: &Cluster, nodes: BTreeSet<NodeName>) {
        for name in nodes {
            let Some(node) = budget_cluster.nodes().iter().find(|node| node.name == name) else { continue };
            if budget_cluster.of(node.role).nth(1).is_none() {
                continue;
            }
            let balancers = self.balancers(cluster, node);
            let hooks = budget_cluster.hooks(&name).cloned();
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

    /// Adds all nodes of the roles of `disrupted`.
    fn add_peers(&mut self, cluster: &Cluster, disrupted: &BTreeSet<NodeName>) {
        for node in cluster.nodes() {
            let is_worked_on = disrupted.contains(&node.name);
            if !is_worked_on && !cluster.peers(node).any(|peer| disrupted.contains(&peer.name)) {
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

/// Returns the nodes that the stages may take down.
fn disrupted(stages: &[DraftStage]) -> BTreeSet<NodeName> {
    let disruptive = steps(stages)
        .filter(|step| step.draft.budget.is_some() && !step.draft.proves_health && !step.options.check_only);
    disruptive.filter_map(|step| step.draft.node.clone()).collect()
}

/// Returns the condition that no load balancer is connected to the serving ports of `node`. If an
/// address is unknown, all connections from outside the cluster count.
pub(super) fn quiet(cluster: &Cluster, node: &Node) -> Condition {
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
