//! The end of a step: what it counts for, and whether it is tried again.

use std::pin::Pin;
use std::time::{Duration, SystemTime};

use apim_protocol::message::StepId;
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::{Failure, Outcome};
use apim_protocol::query::Query;
use tokio::time::Instant;

use super::{Lane, Pass};
use crate::engine::event::{Event, Level};
use crate::engine::worker::{Shared, Worker};
use crate::engine::{hidden, rotation};
use crate::plan::model::{NodeName, Step};

/// The end of a step.
pub(super) struct End {
    step: StepId,
    outcome: Outcome,
    took: Duration,
}

/// The end of a proof of health that does not count before the node is back in rotation.
pub(super) type Returning<'a> = Pin<Box<dyn Future<Output = End> + Send + 'a>>;

/// Waits until a node that may be on its way back is back.
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

    /// Puts the node back. One that is healthy and that nobody is sent to has not come back.
    async fn put_back(mut self, shared: &Shared, node: &NodeName) -> Self {
        if let Err(why) = rotation::put_back(shared, node).await {
            let failure = Failure::new(format!("{node} is healthy, but {why}"));
            let hint = "see to the load balancer, then run apply: it puts the node back";
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
        let outcome = hidden::outcome(step, outcome);
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.is_tried_again(worker, step, &outcome) {
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
            Some(node) if step.proves_health && end.is_good() && self.shared.rotating.is_out(node) => {
                let (shared, node) = (self.shared, node.clone());
                self.returning = Some(Box::pin(async move { end.put_back(shared, &node).await }));
                Ok(())
            }
            _ => self.conclude(worker, end),
        }
    }

    /// The end of a step counts now.
    pub(super) fn conclude(&mut self, worker: &mut Worker, end: End) -> Result<(), String> {
        let step = self.find(end.step)?;
        let healthy = end.is_good();
        let End { step: id, outcome, took } = end;
        self.left.retain(|known| known.id != id);
        if let (true, Some(node)) = (step.proves_health, &step.node) {
            self.shared.budget.proof_over(&worker.host, node, healthy);
        }
        let called_off = self.cancelled
            && (matches!(outcome, Outcome::Skipped(_)) || (outcome.is_failure() && self.gives_up(step)));
        if called_off {
            self.stopped.get_or_insert_with(|| step.title.clone());
        } else if self.pass == Pass::Rescue && matches!(outcome, Outcome::Skipped(_)) {
            // There was nothing to be rescued; the failure stands for itself.
        } else if self.failed.is_none() {
            if outcome.is_failure() && !step.ignore_failure {
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
            worker.record(id, outcome, step.ignore_failure);
        }
        Ok(())
    }

    /// Says whether this end of a step does not count because it, or one before it, is tried again.
    fn is_tried_again(&mut self, worker: &Worker, step: &Step, outcome: &Outcome) -> bool {
        if self.pass == Pass::Survey || self.cancelled {
            return false;
        }
        if self.again_at.is_some() {
            return true;
        }
        let (Outcome::Failed(failure), left @ 1..) = (outcome, self.tries_left(step)) else { return false };
        *self.failures.entry(step.id).or_default() += 1;
        self.again_at = Some(Instant::now() + Duration::from_secs(u64::from(step.delay_secs)));
        let (host, title) = (&worker.host, &step.title);
        let note = format!("{host}: {title}: {}; {left} more tries", failure.what);
        self.shared.tell(Event::Note(Level::Info, note));
        true
    }

    /// Says whether `step` is one that ends without success when the run is called off.
    fn gives_up(&self, step: &Step) -> bool {
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

/// In a run that only looks, what the survey finds is the result; before an apply it is kept to be judged. Returns the title of a
/// step whose failure is the host's.
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
    let failed = (outcome.is_failure() && !step.ignore_failure).then(|| step.title.clone());
    let (host, title) = (worker.host.clone(), step.title.clone());
    shared.tell(Event::StepFinished(host, step.id, title, outcome.clone(), took));
    worker.record(step.id, outcome, step.ignore_failure);
    failed
}
