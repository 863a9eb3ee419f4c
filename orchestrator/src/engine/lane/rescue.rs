//! What the plan has for a step that failed, such as the way back of a node that does not become healthy from a new release.

use apim_agent::outcome::Outcome;

use super::{Pass, talk};
use crate::engine::result::HostEnd;
use crate::engine::worker::{Shared, Worker};
use crate::plan::model::Step;

/// Does what the plan has for `failed`: one step after the other, up to the first that does not succeed. The budget has stopped the rollout
/// when the proof failed, and lets nodes that are down be worked on. The host has failed, whatever comes of it.
pub(super) async fn run(shared: &Shared, worker: &mut Worker, failed: &Step) {
    if failed.rescue.is_empty() || worker.wire.is_none() || shared.is_interrupted() {
        return;
    }
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
