//! One conversation with one host: steps are sent ahead, replies are heard, content and leave are given on demand.

use std::collections::BTreeMap;
use std::time::Duration;

use apim_protocol::message::{Done, Job, Reply, Request, Run, StepId};
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Outcome;
use apim_protocol::value::Content;
use tokio::time::{Instant, sleep_until};

use self::asking::{Asked, Asking, answered};
use self::ending::{Returning, returned, surveyed};
use super::errand;
use super::event::{Event, Level};
use super::result::HostEnd;
use super::settings::Interrupt;
use super::wire::Wire;
use super::worker::{Shared, Worker};
use crate::plan::model::Step;

mod asking;
mod ending;
mod giving;
pub(super) mod rescue;

/// What a lane is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Every step in check mode; failures hold nothing up.
    Survey,
    /// In the mode that the step has, up to the first failure.
    Stage,
    /// As a stage, for a step of it that failed.
    Rescue,
}

/// Runs `steps` for the worker's host: the agent's in a conversation, our own errands beside it (survey) or in their turn (stage).
pub(super) async fn run(shared: &Shared, worker: &mut Worker, steps: &[&Step], pass: Pass) {
    let is_agents = |step: &&Step| step.operation().is_some();
    match pass {
        Pass::Survey => {
            let (agents, errands): (Vec<&Step>, Vec<&Step>) =
                steps.iter().copied().partition(|step| step.look().is_some());
            let host = worker.host.clone();
            let (found, ()) = tokio::join!(errand::survey(shared, &host, &errands), async {
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
                    errand::run(shared, worker, part).await;
                }
            }
        }
    }
}

/// Has the agent run `steps`, over a new link when the present one is lost. Returns the step that failed.
async fn talk<'a>(
    shared: &'a Shared,
    worker: &mut Worker,
    steps: &[&'a Step],
    pass: Pass,
) -> Option<&'a Step> {
    let mut lane = Lane {
        shared,
        pass,
        left: steps.to_vec(),
        failed: None,
        culprit: None,
        stopped: None,
        cancelled: false,
        begun: None,
        asking: None,
        returning: None,
        failures: BTreeMap::new(),
        unanswered: 0,
        again_at: None,
    };
    loop {
        let mut wire = worker.wire.take()?;
        let lost = match lane.converse(&mut wire, worker).await {
            Ok(()) => {
                worker.wire = Some(wire);
                break;
            }
            Err(lost) => lost,
        };
        drop(wire);
        lane.asking = None;
        lane.begun = None;
        shared.budget.withdraw(&worker.host);
        if lane.failed.is_some() {
            break;
        }
        if !worker.reconnect(shared, &lost).await {
            return None;
        }
    }
    if let Some(title) = lane.failed {
        worker.result.end = HostEnd::Failed(title);
    } else if lane.cancelled && pass != Pass::Survey {
        worker.result.end = lane.stopped.map_or(HostEnd::Done, |title| HostEnd::Stopped(Some(title)));
    }
    lane.culprit
}

struct Lane<'a> {
    shared: &'a Shared,
    pass: Pass,
    /// Steps not finished, in order.
    left: Vec<&'a Step>,
    /// The title of the first step that failed.
    failed: Option<String>,
    /// That step, where it was run.
    culprit: Option<&'a Step>,
    /// The title of the first step that was left out because the run was called off.
    stopped: Option<String>,
    cancelled: bool,
    /// The step in hand, and since when.
    begun: Option<(StepId, Instant)>,
    /// The step that waits for leave.
    asking: Option<Asking<'a>>,
    /// A node that was shown to be healthy and is being put back into rotation.
    returning: Option<Returning<'a>>,
    /// How often steps have failed that are tried again.
    failures: BTreeMap<StepId, u32>,
    /// Steps sent whose end was not heard.
    unanswered: usize,
    /// When a step that failed is tried again; what was sent behind it comes back undone until then.
    again_at: Option<Instant>,
}

impl<'a> Lane<'a> {
    /// Talks until all steps are finished; an error says how the link was lost.
    async fn converse(&mut self, wire: &mut Wire, worker: &mut Worker) -> Result<(), String> {
        let mut interrupt = self.shared.interrupt.clone();
        self.again_at = None;
        self.unanswered = 0;
        self.catch_up(wire, worker).await?;
        if self.failed.is_some() {
            return Ok(());
        }
        if self.pass == Pass::Rescue {
            // The agent does nothing more after a failure until it is told to.
            wire.send(Request::Resume);
        }
        if self.again_at.is_none() {
            self.send_steps(wire);
        }
        let mut heard_at = Instant::now();
        let mut noticed = false;
        while !self.left.is_empty() || self.returning.is_some() {
            let notice_at = heard_at + self.shared.settings.patience.notice;
            let lost_at = heard_at + self.silence();
            tokio::select! {
                // What the host says next waits until the node is back: its steps are done in order, and so are their ends.
                reply = wire.next(), if self.returning.is_none() => {
                    let reply = reply.map_err(|error| error.to_string())?;
                    heard_at = Instant::now();
                    noticed = false;
                    self.hear(reply, wire, worker)?;
                }
                answer = answered(&mut self.asking), if self.asking.is_some() => {
                    self.answer(answer, wire, worker);
                    heard_at = Instant::now();
                }
                end = returned(&mut self.returning), if self.returning.is_some() => {
                    self.returning = None;
                    self.conclude(worker, end)?;
                    heard_at = Instant::now();
                }
                _ = interrupt.wait_for(|wish| *wish >= Interrupt::Finish), if !self.cancelled => {
                    self.cancelled = true;
                    wire.send(Request::Cancel);
                    wire.stop_upload("the run was called off");
                    if self.pass == Pass::Survey {
                        return Ok(());
                    }
                }
                () = sleep_until(self.again_at.unwrap_or(lost_at)), if self.again_at.is_some() && self.unanswered == 0 => {
                    self.again_at = None;
                    heard_at = Instant::now();
                    wire.send(Request::Resume);
                    self.send_steps(wire);
                }
                () = sleep_until(notice_at), if !noticed && self.is_owed() => {
                    noticed = true;
                    self.notice(worker, heard_at);
                }
                () = sleep_until(lost_at), if self.is_owed() => {
                    let seconds = heard_at.elapsed().as_secs();
                    return Err(format!("no sign of life for {seconds} s, {}", self.in_hand()));
                }
            }
        }
        Ok(())
    }

    /// Takes over what ended on the host while there was no link. What failed there is tried anew, commands apart: what they
    /// would do a second time is not known.
    async fn catch_up(&mut self, wire: &mut Wire, worker: &mut Worker) -> Result<(), String> {
        for Done { step, outcome, millis } in std::mem::take(&mut wire.done) {
            let Ok(known) = self.find(step) else { continue };
            let counts = match &outcome {
                Outcome::Changed(_) => true,
                Outcome::Failed(_) => {
                    matches!(known.operation(), Some(Operation::Command(_)))
                        && !self.failures.contains_key(&step)
                }
                _ => false,
            };
            if counts && self.pass != Pass::Survey {
                self.finish(worker, step, outcome, Duration::from_millis(millis))?;
            }
            if let Some(returning) = self.returning.take() {
                let end = returning.await;
                self.conclude(worker, end)?;
            }
        }
        Ok(())
    }

    fn send_steps(&mut self, wire: &Wire) {
        for step in &self.left {
            if let Some(request) = self.request(step) {
                wire.send(Request::Run(Box::new(request)));
            }
        }
        self.unanswered = self.left.len();
    }

    /// Says whether the host has the next word.
    const fn is_owed(&self) -> bool {
        self.asking.is_none() && self.returning.is_none() && self.unanswered > 0
    }

    fn tries_left(&self, step: &Step) -> u32 {
        step.retries.saturating_sub(self.failures.get(&step.id).copied().unwrap_or(0))
    }

    /// Returns what the agent is asked to do; errands are never in a conversation.
    fn request(&self, step: &Step) -> Option<Run> {
        let is_survey = self.pass == Pass::Survey;
        // A failure that is ignored is one only after the last try.
        let ignore_failure = is_survey || (step.ignore_failure && self.tries_left(step) == 0);
        let mode = if is_survey || step.check_only { Mode::Check } else { self.shared.settings.mode };
        let job = match (is_survey, step.query(), step.operation()) {
            (true, ..) => step.look()?,
            (false, Some(query), _) => Job::Query(query.clone()),
            (false, None, operation) => Job::Operation { operation: operation?.clone(), mode },
        };
        Some(Run { step: step.id, title: step.title.clone(), job, ignore_failure })
    }

    fn hear(&mut self, reply: Option<Reply>, wire: &mut Wire, worker: &mut Worker) -> Result<(), String> {
        let host = worker.host.clone();
        let Some(reply) = reply else {
            return Err(format!("the agent ended the conversation, {}", self.in_hand()));
        };
        match reply {
            Reply::Started { step } => {
                let title = self.find(step)?.title.clone();
                self.begun = Some((step, Instant::now()));
                self.tell(Event::StepStarted(host, step, title));
            }
            // No step of a plan tells logs.
            Reply::Entries { step, .. } => drop(self.find(step)?),
            Reply::Progress { step, what, done, total } => {
                self.find(step)?;
                self.tell(Event::StepProgress(host, step, what, done, total));
            }
            Reply::Need { step, sha256, size, offset } => {
                self.find(step)?;
                self.give(wire, step, Content { sha256, size }, offset);
            }
            Reply::NeedParts { step, sha256, size, parts, offset } => {
                self.find(step)?;
                self.give_parts(wire, step, Content { sha256, size }, (parts, offset));
            }
            Reply::Outline { step, sha256 } => {
                self.find(step)?;
                self.give_outline(wire, step, sha256);
            }
            Reply::PermitRequest { step, unit, reason } => {
                self.ask(wire, worker, &Asked { step, unit, reason })?
            }
            Reply::Finished { step, outcome, millis } => {
                self.finish(worker, step, outcome, Duration::from_millis(millis))?;
            }
            Reply::Hello(_) | Reply::Refused(_) | Reply::Bye => {
                return Err(format!("the agent ended the conversation, {}", self.in_hand()));
            }
        }
        Ok(())
    }

    fn find(&self, id: StepId) -> Result<&'a Step, String> {
        let known = self.left.iter().copied().find(|step| step.id == id);
        known.ok_or_else(|| format!("the agent spoke of a step ({}) that it was not given", id.0))
    }

    fn tell(&self, event: Event) {
        if self.pass != Pass::Survey || self.shared.settings.mode == Mode::Check {
            self.shared.tell(event);
        }
    }

    /// Returns how long a host may be silent before its link counts as lost.
    fn silence(&self) -> Duration {
        let step = self.begun.and_then(|(id, _)| self.find(id).ok()).or(self.left.first().copied());
        let own = match (self.pass, step) {
            (Pass::Stage | Pass::Rescue, Some(step)) => {
                step.operation().map(Operation::own_deadline).unwrap_or_default()
            }
            _ => Duration::ZERO,
        };
        own + self.shared.settings.patience.silence
    }

    fn notice(&self, worker: &Worker, heard_at: Instant) {
        let seconds = heard_at.elapsed().as_secs();
        let note = format!("{}: nothing heard for {seconds} s, {}", worker.host, self.in_hand());
        self.shared.tell(Event::Note(Level::Warning, note));
    }

    fn in_hand(&self) -> String {
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
