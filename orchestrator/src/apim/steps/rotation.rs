//! Nodes and the load balancers that hooks tell: put back when one was left out, taken out and put back by hand.

use super::Draft;
use crate::apim::cluster::Cluster;
use crate::apim::hook::{Shift, ShiftWish};
use crate::apim::topology::Node;
use crate::apim::work::Work;

/// Returns the step behind the proof of a node's health: where a hook took the node out and nobody put it back, it is put back.
pub(super) fn returned(cluster: &Cluster, node: &Node) -> Option<Draft> {
    let title = format!("{}: in rotation, as far as hooks took it out", node.words());
    shift(cluster, node, ShiftWish::Returned, title)
}

/// Returns the step that tells the load balancers of `node` by hooks, where it has some.
#[must_use]
pub fn shift(cluster: &Cluster, node: &Node, wish: ShiftWish, title: String) -> Option<Draft> {
    let hooks = cluster.hooks(&node.name)?.clone();
    Some(Draft::new(title, Work::Shift(Shift { hooks, wish })).of(node))
}
