//! One session with one host: steps are sent ahead, replies are read, content and permits are sent
//! on demand.

use std::collections::BTreeMap;
use std::time::Duration;

use apim_protocol::message::{Done, Reply, Request};
use apim_protocol::operation::Operation;
use apim_protocol::outcome::Outcome;
use apim_protocol::value::Content;
use tokio::time::{Instant, sleep_until};

use super::completion::returned;
use super::permit::{Asked, answered};
use super::state::{Lane, Pass};
use crate::engine::event::Event;
use crate::engine::result::HostEnd;
use crate::engine::settings::Interrupt;
use crate::engine::shared::Shared;
use crate::engine::wire::Wire;
use crate::engine::worker::Worker;
use crate::plan::model::Step;

/// Has the agent run `steps`, over a new link if the current one is lost. Returns the step that
/// failed.
pub(super) async fn talk<'a>(
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
        retry_at: None,
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

impl<'a> Lane<'a> {
    /// Runs the session until all steps are finished. An error is the reason why the link was lost.
    async fn converse(&mut self, wire: &mut Wire, worker: &mut Worker) -> Result<(), String> {
        let mut interrupt = self.shared.interrupt.clone();
        self.retry_at = None;
        self.unanswered = 0;
        self.catch_up(wire, worker).await?;
        if self.failed.is_some() {
            return Ok(());
        }
        if self.pass == Pass::Rescue {
            // After a failure the agent skips all steps until `Resume`.
            wire.send(Request::Resume);
        }
        if self.retry_at.is_none() {
            self.send_steps(wire);
        }
        let mut heard_at = Instant::now();
        let mut noticed = false;
        while !self.left.is_empty() || self.returning.is_some() {
            let notice_at = heard_at + self.shared.settings.timeouts.notice;
            let lost_at = heard_at + self.silence();
            tokio::select! {
                // Replies of the host wait until the node is undrained: steps end in order.
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
                _ = interrupt.wait_for(|level| *level >= Interrupt::Finish), if !self.cancelled => {
                    self.cancelled = true;
                    wire.send(Request::Cancel);
                    wire.stop_upload("interrupted");
                    if self.pass == Pass::Survey {
                        return Ok(());
                    }
                }
                () = sleep_until(self.retry_at.unwrap_or(lost_at)), if self.retry_at.is_some() && self.unanswered == 0 => {
                    self.retry_at = None;
                    heard_at = Instant::now();
                    wire.send(Request::Resume);
                    self.send_steps(wire);
                }
                () = sleep_until(notice_at), if !noticed && self.awaits_reply() => {
                    noticed = true;
                    self.notice(worker, heard_at);
                }
                () = sleep_until(lost_at), if self.awaits_reply() => {
                    let seconds = heard_at.elapsed().as_secs();
                    return Err(format!("no reply for {seconds} s, {}", self.in_hand()));
                }
            }
        }
        Ok(())
    }

    /// Takes over steps that ended on the host while the link was down. Failed steps are retried,
    /// except commands: it is unknown what they would do a second time.
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

    fn hear(&mut self, reply: Option<Reply>, wire: &mut Wire, worker: &mut Worker) -> Result<(), String> {
        let host = worker.host.clone();
        let Some(reply) = reply else {
            return Err(format!("the agent closed the session, {}", self.in_hand()));
        };
        match reply {
            Reply::Started { step } => {
                let title = self.find(step)?.title.clone();
                self.begun = Some((step, Instant::now()));
                self.tell(Event::StepStarted(host, step, title));
            }
            // No step of a plan returns log entries.
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
                return Err(format!("the agent closed the session, {}", self.in_hand()));
            }
        }
        Ok(())
    }
}
