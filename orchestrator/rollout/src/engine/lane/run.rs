//! Runs the steps of a lane: agent steps in one session, local tasks beside it or in their order.

use super::completion::surveyed;
use super::rescue;
use super::state::Pass;
use super::talk::talk;
use crate::engine::local_lane;
use crate::engine::result::HostEnd;
use crate::engine::shared::Shared;
use crate::engine::worker::Worker;
use crate::plan::model::Step;

/// Runs `steps` for the worker's host. Agent steps run in one session. Local tasks run in parallel
/// to it (survey) or in their order (stage).
pub(in crate::engine) async fn run(shared: &Shared, worker: &mut Worker, steps: &[&Step], pass: Pass) {
    let is_agents = |step: &&Step| step.operation().is_some();
    match pass {
        Pass::Survey => {
            let (agents, local): (Vec<&Step>, Vec<&Step>) =
                steps.iter().copied().partition(|step| step.look().is_some());
            let host = worker.host.clone();
            let (found, ()) = tokio::join!(local_lane::survey(shared, &host, &local), async {
                talk(shared, worker, &agents, Pass::Survey).await.map_or((), |_| ())
            });
            for (step, outcome, took) in found {
                if let Some(failed) = surveyed(shared, worker, step, outcome, took)
                    && worker.result.end == HostEnd::Done
                {
                    worker.result.end = HostEnd::Failed(failed);
                }
            }
        }
        Pass::Stage | Pass::Rescue => {
            for part in steps.chunk_by(|one, next| is_agents(one) == is_agents(next)) {
                if worker.result.end != HostEnd::Done {
                    return;
                }
                if part.first().is_some_and(is_agents) {
                    if let Some(failed) = talk(shared, worker, part, pass).await {
                        rescue::run(shared, worker, rescue::of(shared, failed, part)).await;
                    }
                } else {
                    local_lane::run(shared, worker, part).await;
                }
            }
        }
    }
}
