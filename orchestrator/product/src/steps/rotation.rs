//! Drains and undrains nodes with load balancer hooks.

use super::Draft;
use crate::cluster::Cluster;
use crate::hook::{Shift, ShiftSpec};
use crate::topology::Node;
use crate::work::Work;

/// Returns the step after a node's health check that undrains it, if a hook drained it before.
pub(super) fn returned(cluster: &Cluster, node: &Node) -> Option<Draft> {
    let title = format!("{}: in rotation (undrained if a hook drained it)", node.words());
    rotation_change(cluster, node, ShiftSpec::UndrainIfDrained, title)
}

/// Returns the step that calls the hooks of `node`, if it has any.
#[must_use]
pub fn rotation_change(cluster: &Cluster, node: &Node, spec: ShiftSpec, title: String) -> Option<Draft> {
    let hooks = cluster.hooks(&node.name)?.clone();
    Some(Draft::new(title, Work::Shift(Shift { hooks, spec })).of(node))
}
