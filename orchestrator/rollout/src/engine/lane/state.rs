//! The state of a lane while it runs, and what follows from it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use apim_protocol::message::{Job, Request, Run, StepId};
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Outcome;
use tokio::time::Instant;

use crate::engine::event::{Event, Level};
use crate::engine::shared::Shared;
use crate::engine::wire::Wire;
use crate::engine::worker::Worker;
use crate::plan::model::Step;
use apim_product::NodeName;

/// The purpose of running a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Pass {
    /// Every step in check mode; failures stop nothing.
    Survey,
    /// In the mode of the step, up to the first failure.
    Stage,
    /// Like a stage, for the rescue of a failed step.
    Rescue,
}

/// The decision on a permit request.
pub(super) struct Granting {
    pub(super) step: StepId,
    pub(super) node: NodeName,
    pub(super) answer: Result<(), String>,
}

/// A wait for the permit and for the node to be drained.
pub(super) type Asking<'a> = Pin<Box<dyn Future<Output = Granting> + Send + 'a>>;

/// The end of a step.
pub(super) struct End {
    pub(super) step: StepId,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
}

/// A passed health check that counts only once the node is back in rotation.
pub(super) type Returning<'a> = Pin<Box<dyn Future<Output = End> + Send + 'a>>;

/// One lane that is being run.
pub(super) struct Lane<'a> {
    pub(super) shared: &'a Shared,
    pub(super) pass: Pass,
    /// Steps not finished, in order.
    pub(super) left: Vec<&'a Step>,
    /// The title of the first step that failed.
    pub(super) failed: Option<String>,
    /// That step, unless it failed in the survey.
    pub(super) culprit: Option<&'a Step>,
    /// The title of the first step that was skipped because of an interrupt.
    pub(super) stopped: Option<String>,
    pub(super) cancelled: bool,
    /// The current step, and when it started.
    pub(super) begun: Option<(StepId, Instant)>,
    /// The pending permit request.
    pub(super) asking: Option<Asking<'a>>,
    /// A healthy node that is being undrained.
    pub(super) returning: Option<Returning<'a>>,
    /// Failures of steps that are retried.
    pub(super) failures: BTreeMap<StepId, u32>,
    /// Number of steps that were sent and have not ended.
    pub(super) unanswered: usize,
    /// When a failed step is retried. Until then the agent skips the steps sent after it.
    pub(super) retry_at: Option<Instant>,
}

impl<'a> Lane<'a> {
    pub(super) fn send_steps(&mut self, wire: &Wire) {
        for step in &self.left {
            if let Some(request) = self.request(step) {
                wire.send(Request::Run(Box::new(request)));
            }
        }
        self.unanswered = self.left.len();
    }

    /// Returns whether a reply of the host is expected.
    pub(super) const fn awaits_reply(&self) -> bool {
        self.asking.is_none() && self.returning.is_none() && self.unanswered > 0
    }

    pub(super) fn retries_left(&self, step: &Step) -> u32 {
        step.options.retries.saturating_sub(self.failures.get(&step.id).copied().unwrap_or(0))
    }

    /// Returns the request for the agent. Local tasks are never sent.
    pub(super) fn request(&self, step: &Step) -> Option<Run> {
        let is_survey = self.pass == Pass::Survey;
        // A failure is ignored only after the last retry.
        let ignore_failure = is_survey || (step.options.ignore_failure && self.retries_left(step) == 0);
        let mode = if is_survey || step.options.check_only { Mode::Check } else { self.shared.settings.mode };
        let job = match (is_survey, step.query(), step.operation()) {
            (true, ..) => step.look()?,
            (false, Some(query), _) => Job::Query(query.clone()),
            (false, None, operation) => Job::Operation { operation: operation?.clone(), mode },
        };
        Some(Run { step: step.id, title: step.title.clone(), job, ignore_failure })
    }

    pub(super) fn find(&self, id: StepId) -> Result<&'a Step, String> {
        let known = self.left.iter().copied().find(|step| step.id == id);
        known.ok_or_else(|| format!("protocol error: agent reported unknown step {}", id.0))
    }

    pub(super) fn tell(&self, event: Event) {
        if self.pass != Pass::Survey || self.shared.settings.mode == Mode::Check {
            self.shared.tell(event);
        }
    }

    /// Returns how long a host may be silent before its link counts as lost.
    pub(super) fn silence(&self) -> Duration {
        let step = self.begun.and_then(|(id, _)| self.find(id).ok()).or(self.left.first().copied());
        let own = match (self.pass, step) {
            (Pass::Stage | Pass::Rescue, Some(step)) => {
                step.operation().map(Operation::own_deadline).unwrap_or_default()
            }
            _ => Duration::ZERO,
        };
        own + self.shared.settings.timeouts.silence
    }

    pub(super) fn notice(&self, worker: &Worker, heard_at: Instant) {
        let seconds = heard_at.elapsed().as_secs();
        let note = format!("{}: no reply for {seconds} s, {}", worker.host, self.in_hand());
        self.shared.tell(Event::Note(Level::Warning, note));
    }

    pub(super) fn in_hand(&self) -> String {
        match self.begun.and_then(|(id, since)| Some((self.find(id).ok()?, since))) {
            Some((step, since)) => {
                format!("while `{}` has been running for {} s", step.title, since.elapsed().as_secs())
            }
            None => match self.left.first() {
                Some(step) => format!("before `{}`", step.title),
                None => "at the end".to_owned(),
            },
        }
    }
}
