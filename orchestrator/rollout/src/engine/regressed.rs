//! Rolls back regressed nodes: nodes whose release was changed in this run and that became
//! unhealthy after their first health check. It runs when the run ends before their last health
//! check.

use std::sync::Arc;
use std::time::Duration;

use apim_protocol::outcome::{Failure, Outcome};

use super::event::Event;
use super::lane::rescue;
use super::result::HostEnd;
use super::run_state::Run;
use super::shared::Shared;
use super::worker::Worker;
use crate::plan::model::Step;

/// Rolls back the regressed nodes, one at a time.
pub(super) async fn rollback_regressed(run: &mut Run) {
    let shared = Arc::clone(&run.shared);
    for lane in shared.plan.stages.iter().flat_map(|stage| &stage.lanes) {
        let Some(worker) = run.workers.get_mut(&lane.host) else { continue };
        for step in &lane.steps {
            if is_due(&shared, worker, step) {
                note(&shared, worker, step);
                rescue::run(&shared, worker, step).await;
                shared.budget.lane_over(&lane.host);
            }
        }
    }
}

fn is_due(shared: &Shared, worker: &Worker, step: &Step) -> bool {
    let has_regressed = step.node.as_ref().is_some_and(|node| shared.budget.has_regressed(node));
    has_regressed
        && !shared.is_interrupted()
        && !worker.ran(step.id)
        && rescue::is_late(step)
        && rescue::is_release_changed(shared, worker, step)
}

/// Records the outstanding health check as failed.
fn note(shared: &Shared, worker: &mut Worker, step: &Step) {
    let failure = Failure::new("became unhealthy after it was started");
    let outcome = Outcome::Failed(failure.hint("see its log and the journal of its unit"));
    let (host, title) = (worker.host.clone(), step.title.clone());
    shared.tell(Event::StepFinished(host, step.id, title, outcome.clone(), Duration::ZERO));
    worker.record(step.id, outcome, false);
    if worker.result.end == HostEnd::Done {
        worker.result.end = HostEnd::Failed(step.title.clone());
    }
}
