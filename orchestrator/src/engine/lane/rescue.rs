//! What the plan has for a step that failed, such as the way back of a node that does not become healthy from a new release.

use apim_protocol::operation::Operation;
use apim_protocol::operation::revert::Proved;
use apim_protocol::outcome::Outcome;

use super::{Pass, talk};
use crate::engine::peers;
use crate::engine::result::HostEnd;
use crate::engine::worker::{Shared, Worker};
use crate::plan::model::{NodeName, Step};

/// Returns the step whose rescue is for `failed`: itself, or, for a node whose process fell over before anybody could ask how it is, the
/// first proof of its health behind.
pub(super) fn of<'a>(shared: &Shared, failed: &'a Step, lane: &[&'a Step]) -> &'a Step {
    let is_start = failed.rescue.is_empty() && matches!(failed.operation(), Some(Operation::Unit(_)));
    // Who was refused leave is as it was.
    if !is_start || failed.node.as_ref().is_none_or(|node| !shared.budget.is_down(node)) {
        return failed;
    }
    let behind = lane.iter().skip_while(|step| step.id != failed.id);
    let mut proofs = behind.filter(|step| step.proves_health && step.node == failed.node);
    proofs.find(|step| !step.rescue.is_empty() && !is_late(step)).copied().unwrap_or(failed)
}

/// Does what the plan has for `failed`: one step after the other, up to the first that does not succeed. The budget has stopped the rollout
/// when the proof failed; whoever is rescued is worked on all the same, one that serves as the budget has it. The host has failed, whatever
/// comes of it.
pub(in crate::engine) async fn run(shared: &Shared, worker: &mut Worker, failed: &Step) {
    if failed.rescue.is_empty() || worker.wire.is_none() || shared.is_interrupted() {
        return;
    }
    if is_late(failed) && !has_moved(shared, worker, failed) {
        return;
    }
    let proofs = failed.rescue.iter().filter(|step| step.proves_health);
    let nodes: Vec<NodeName> = proofs.filter_map(|step| step.node.clone()).collect();
    if !matches!(worker.outcomes.get(&failed.id), Some(Outcome::Failed(_))) {
        // Its own proof was not come to.
        nodes.iter().for_each(|node| shared.budget.did_not_come_back(node));
    }
    for node in &nodes {
        peers::look_at(shared, node).await;
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

/// Says whether `step` has a rescue that is for nodes which were up after they moved, and does not only help those that never were.
pub(in crate::engine) fn is_late(step: &Step) -> bool {
    let late = Some(Proved::Settled);
    step.rescue
        .iter()
        .any(|rescue| matches!(rescue.operation(), Some(Operation::Revert(revert)) if revert.unless == late))
}

/// Says whether the node of `step` went to another release in this run.
pub(in crate::engine) fn has_moved(shared: &Shared, worker: &Worker, step: &Step) -> bool {
    let lanes = shared.plan.stages.iter().flat_map(|stage| &stage.lanes);
    let mut own = lanes.filter(|lane| lane.host == worker.host).flat_map(|lane| &lane.steps);
    own.any(|other| {
        other.node == step.node
            && matches!(other.operation(), Some(Operation::Unit(_)))
            && matches!(worker.outcomes.get(&other.id), Some(Outcome::Changed(done)) if done.release().is_some())
    })
}
