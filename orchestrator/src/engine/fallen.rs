//! Nodes that went to another release in this run, were healthy, and did not stay so: when the run ends before their last proof they are brought
//! back as if they had failed it.

use std::sync::Arc;
use std::time::Duration;

use apim_protocol::outcome::{Failure, Outcome};

use super::event::Event;
use super::lane::rescue;
use super::result::HostEnd;
use super::run::Run;
use super::worker::{Shared, Worker};
use crate::plan::model::Step;

/// Brings them back, one after the other.
pub(super) async fn bring_back(run: &mut Run) {
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
    let has_fallen = step.node.as_ref().is_some_and(|node| shared.budget.has_fallen(node));
    has_fallen
        && !shared.is_interrupted()
        && !worker.ran(step.id)
        && rescue::is_late(step)
        && rescue::has_moved(shared, worker, step)
}

/// The proof that was still to come has failed.
fn note(shared: &Shared, worker: &mut Worker, step: &Step) {
    let failure = Failure::new("it was healthy when it had been started, and did not stay so");
    let outcome = Outcome::Failed(failure.hint("its log and its unit's journal say why"));
    let (host, title) = (worker.host.clone(), step.title.clone());
    shared.tell(Event::StepFinished(host, step.id, title, outcome.clone(), Duration::ZERO));
    worker.record(step.id, outcome, false);
    if worker.result.end == HostEnd::Done {
        worker.result.end = HostEnd::Failed(step.title.clone());
    }
}
