//! Handles the end of a step: how it counts, and whether the step is retried.

use std::time::{Duration, SystemTime};

use apim_protocol::message::StepId;
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::{Failure, Outcome};
use apim_protocol::query::Query;
use tokio::time::Instant;

use super::state::{End, Lane, Pass, Returning};
use crate::engine::event::{Event, Level};
use crate::engine::shared::Shared;
use crate::engine::worker::Worker;
use crate::engine::{redact, traffic};
use crate::plan::model::Step;
use apim_product::NodeName;

/// Waits until the pending node is back in rotation, or forever without one.
pub(super) async fn returned(returning: &mut Option<Returning<'_>>) -> End {
    match returning {
        Some(returning) => returning.await,
        None => std::future::pending().await,
    }
}

impl End {
    const fn is_good(&self) -> bool {
        matches!(self.outcome, Outcome::Ok | Outcome::Changed(_) | Outcome::Observed(_))
    }

    /// Undrains the node. A healthy node without requests has not recovered.
    async fn undrain(mut self, shared: &Shared, node: &NodeName) -> Self {
        if let Err(why) = traffic::put_back(shared, node).await {
            let failure = Failure::new(format!("{node} is healthy, but {why}"));
            let hint = "fix the load balancer, then run apply to undrain the node";
            self.outcome = Outcome::Failed(failure.hint(hint));
        }
        self
    }
}

impl Lane<'_> {
    pub(super) fn finish(
        &mut self,
        worker: &mut Worker,
        id: StepId,
        outcome: Outcome,
        took: Duration,
    ) -> Result<(), String> {
        let step = self.find(id)?;
        let outcome = redact::outcome(step, outcome);
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.is_retried(worker, step, &outcome) {
            self.begun = None;
            return Ok(());
        }
        self.begun = None;
        if self.pass == Pass::Survey {
            self.left.retain(|known| known.id != id);
            self.surveyed(worker, step, outcome, took);
            return Ok(());
        }
        let end = End { step: id, outcome, took };
        match &step.node {
            Some(node) if step.proves_health && end.is_good() && self.shared.drained.is_out(node) => {
                let (shared, node) = (self.shared, node.clone());
                self.returning = Some(Box::pin(async move { end.undrain(shared, &node).await }));
                Ok(())
            }
            _ => self.conclude(worker, end),
        }
    }

    /// Records the end of a step.
    pub(super) fn conclude(&mut self, worker: &mut Worker, end: End) -> Result<(), String> {
        let step = self.find(end.step)?;
        let healthy = end.is_good();
        let End { step: id, outcome, took } = end;
        self.left.retain(|known| known.id != id);
        if let (true, Some(node)) = (step.proves_health, &step.node) {
            self.shared.budget.proof_over(&worker.host, node, healthy);
        }
        let interrupted = self.cancelled
            && (matches!(outcome, Outcome::Skipped(_))
                || (outcome.is_failure() && self.ends_on_interrupt(step)));
        if interrupted {
            self.stopped.get_or_insert_with(|| step.title.clone());
        } else if self.pass == Pass::Rescue && matches!(outcome, Outcome::Skipped(_)) {
            // There was nothing to rescue. The original failure remains.
        } else if self.failed.is_none() {
            if outcome.is_failure() && !step.options.ignore_failure {
                self.failed = Some(step.title.clone());
                self.culprit = Some(step);
            }
            self.tell(Event::StepFinished(
                worker.host.clone(),
                id,
                step.title.clone(),
                outcome.clone(),
                took,
            ));
            worker.record(id, outcome, step.options.ignore_failure);
        }
        Ok(())
    }

    /// Returns whether this end does not count because the step, or an earlier one, is retried.
    fn is_retried(&mut self, worker: &Worker, step: &Step, outcome: &Outcome) -> bool {
        if self.pass == Pass::Survey || self.cancelled {
            return false;
        }
        if self.retry_at.is_some() {
            return true;
        }
        let (Outcome::Failed(failure), left @ 1..) = (outcome, self.retries_left(step)) else { return false };
        *self.failures.entry(step.id).or_default() += 1;
        self.retry_at = Some(Instant::now() + Duration::from_secs(u64::from(step.options.delay_secs)));
        let (host, title) = (&worker.host, &step.title);
        let note = format!("{host}: {title}: {}; {left} retries left", failure.what);
        self.shared.tell(Event::Note(Level::Info, note));
        true
    }

    /// Returns whether `step` ends without success on an interrupt.
    fn ends_on_interrupt(&self, step: &Step) -> bool {
        matches!(step.operation(), Some(Operation::Wait(_))) || self.stopped.as_ref() == Some(&step.title)
    }

    fn surveyed(&mut self, worker: &mut Worker, step: &Step, outcome: Outcome, took: Duration) {
        if matches!(step.query(), Some(Query::Examine(_))) {
            worker.heard.insert(step.id, SystemTime::now());
        }
        if let Some(title) = surveyed(self.shared, worker, step, outcome, took) {
            self.failed.get_or_insert(title);
        }
    }
}

/// In check mode the survey is the result. Before an apply it is kept for the preflight. Returns
/// the title of a step whose failure counts for the host.
pub(super) fn surveyed(
    shared: &Shared,
    worker: &mut Worker,
    step: &Step,
    outcome: Outcome,
    took: Duration,
) -> Option<String> {
    if shared.settings.mode == Mode::Apply {
        worker.outcomes.insert(step.id, outcome);
        return None;
    }
    let failed = (outcome.is_failure() && !step.options.ignore_failure).then(|| step.title.clone());
    let (host, title) = (worker.host.clone(), step.title.clone());
    shared.tell(Event::StepFinished(host, step.id, title, outcome.clone(), took));
    worker.record(step.id, outcome, step.options.ignore_failure);
    failed
}
