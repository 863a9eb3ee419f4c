//! Rescue steps of a failed step, such as the rollback of a node that does not become healthy with
//! a new release.

use apim_protocol::operation::Operation;
use apim_protocol::operation::revert::Proved;

use apim_protocol::outcome::Outcome;

use super::state::Pass;
use super::talk::talk;
use crate::engine::health;
use crate::engine::result::HostEnd;
use crate::engine::shared::Shared;
use crate::engine::worker::Worker;
use crate::plan::model::Step;
use apim_product::NodeName;

/// Returns the step whose rescue applies to `failed`: the step itself or, for a node whose process
/// crashed before its first health check, that health check.
pub(super) fn of<'a>(shared: &Shared, failed: &'a Step, lane: &[&'a Step]) -> &'a Step {
    let is_start = failed.rescue.is_empty() && matches!(failed.operation(), Some(Operation::Unit(_)));
    // A node whose permit was refused is unchanged.
    if !is_start || failed.node.as_ref().is_none_or(|node| !shared.budget.is_down(node)) {
        return failed;
    }
    let behind = lane.iter().skip_while(|step| step.id != failed.id);
    let mut proofs = behind.filter(|step| step.proves_health && step.node == failed.node);
    proofs.find(|step| !step.rescue.is_empty() && !is_late(step)).copied().unwrap_or(failed)
}

/// Runs the rescue of `failed`, up to the first step that does not succeed. The failed health check
/// has halted the rollout, but nodes being rescued still get permits from the budget. The host has
/// failed, whatever the result of the rescue.
pub(in crate::engine) async fn run(shared: &Shared, worker: &mut Worker, failed: &Step) {
    if failed.rescue.is_empty() || worker.wire.is_none() || shared.is_interrupted() {
        return;
    }
    if is_late(failed) && !is_release_changed(shared, worker, failed) {
        return;
    }
    let proofs = failed.rescue.iter().filter(|step| step.proves_health);
    let nodes: Vec<NodeName> = proofs.filter_map(|step| step.node.clone()).collect();
    if !matches!(worker.outcomes.get(&failed.id), Some(Outcome::Failed(_))) {
        // The node's own health check did not run.
        nodes.iter().for_each(|node| shared.budget.did_not_come_back(node));
    }
    for node in &nodes {
        health::check_node(shared, node).await;
    }
    shared.budget.rescue_begins(&worker.host, &nodes);
    let end = std::mem::take(&mut worker.result.end);
    for step in &failed.rescue {
        talk(shared, worker, &[step], Pass::Rescue).await;
        if !matches!(worker.outcomes.get(&step.id), Some(Outcome::Ok | Outcome::Changed(_))) {
            break;
        }
    }
    if !matches!(worker.result.end, HostEnd::Unreachable(..)) {
        worker.result.end = end;
    }
}

/// Returns whether the rescue of `step` is for nodes that were up after their release changed, not
/// only for nodes that never started.
pub(in crate::engine) fn is_late(step: &Step) -> bool {
    let late = Some(Proved::Settled);
    step.rescue
        .iter()
        .any(|rescue| matches!(rescue.operation(), Some(Operation::Revert(revert)) if revert.unless == late))
}

/// Returns whether this run changed the release of the step's node.
pub(in crate::engine) fn is_release_changed(shared: &Shared, worker: &Worker, step: &Step) -> bool {
    let lanes = shared.plan.stages.iter().flat_map(|stage| &stage.lanes);
    let mut own = lanes.filter(|lane| lane.host == worker.host).flat_map(|lane| &lane.steps);
    own.any(|other| {
        other.node == step.node
            && matches!(other.operation(), Some(Operation::Unit(_)))
            && matches!(worker.outcomes.get(&other.id), Some(Outcome::Changed(done)) if done.release().is_some())
    })
}
