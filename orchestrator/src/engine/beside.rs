//! A short conversation beside the run's own with a host: a look, or a small change, that is no step of the plan.

use std::time::Duration;

use apim_protocol::message::{Job, Reply, Request, Run, StepId};
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Outcome;
use apim_protocol::value::Content;
use tokio::time::timeout;

use super::wire::{Upload, Wire};
use super::worker::{Manner, Shared, Unreached, open_once};
use crate::inventory::host::HostName;
use crate::plan::model::Contents;

/// No plan has so many steps: what ends under this name is nobody's step.
const NAMELESS: StepId = StepId(u32::MAX);
/// How long one operation may take.
const DEADLINE: Duration = Duration::from_secs(150);
/// How long its end is waited for.
const GOODBYE: Duration = Duration::from_secs(5);

/// A conversation.
pub(super) struct Beside<'a> {
    shared: &'a Shared,
    host: &'a HostName,
    wire: Wire,
    /// Bytes that are no plan's.
    pub(super) contents: Contents,
}

impl<'a> Beside<'a> {
    /// Opens one; with the lock where something is to be changed. An error says why there is none.
    pub(super) async fn open(shared: &'a Shared, host: &'a HostName, lock: bool) -> Result<Self, String> {
        match open_once(shared, host, Manner { lock, again: false, shares_lock: true }).await {
            Ok(wire) => Ok(Self { shared, host, wire, contents: Contents::default() }),
            Err(Unreached::Gone(why, _) | Unreached::Held(why)) => Err(format!("{host}: {why}")),
            Err(Unreached::Interrupted) => Err("the run was called off".to_owned()),
        }
    }

    /// Goes on with a conversation that was kept.
    pub(super) fn resume(shared: &'a Shared, host: &'a HostName, wire: Wire) -> Self {
        Self { shared, host, wire, contents: Contents::default() }
    }

    /// Keeps the conversation for later.
    pub(super) fn keep(self) -> (&'a HostName, Wire) {
        (self.host, self.wire)
    }

    /// Has one operation looked at or done; an error says how the conversation broke off.
    pub(super) async fn run(
        &mut self,
        title: &str,
        operation: &Operation,
        mode: Mode,
    ) -> Result<Outcome, String> {
        self.run_within(title, operation, mode, DEADLINE).await
    }

    /// As [`Self::run`], for what may take as long as `limit`.
    pub(super) async fn run_within(
        &mut self,
        title: &str,
        operation: &Operation,
        mode: Mode,
        limit: Duration,
    ) -> Result<Outcome, String> {
        let run = Run {
            step: NAMELESS,
            title: title.to_owned(),
            job: Job::Operation { operation: operation.clone(), mode },
            ignore_failure: true,
        };
        self.wire.send(Request::Run(Box::new(run)));
        match timeout(limit, self.outcome()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("{}: `{title}` did not end within {} s", self.host, limit.as_secs())),
        }
    }

    async fn outcome(&mut self) -> Result<Outcome, String> {
        loop {
            match self.wire.next().await {
                Ok(Some(Reply::Finished { outcome, .. })) => return Ok(outcome),
                Ok(Some(Reply::Need { step, sha256, size, offset })) => {
                    let of_plan = &self.shared.plan.contents.sources;
                    let source = self.contents.sources.get(&sha256).or_else(|| of_plan.get(&sha256));
                    match source.filter(|_| offset <= size).cloned() {
                        Some(source) => {
                            let content = Content { sha256, size };
                            self.wire.give(step, Upload { content, source, parts: Vec::new(), offset });
                        }
                        None => {
                            let why = "there is no such content".to_owned();
                            self.wire.send(Request::NoContent { sha256, why });
                        }
                    }
                }
                Ok(Some(Reply::PermitRequest { step, .. })) => {
                    self.wire.send(Request::PermitDecision { step, refused: None })
                }
                Ok(Some(Reply::Started { .. } | Reply::Progress { .. })) => {}
                // Nothing that is asked for in passing comes in a zip, and no log is followed.
                Ok(Some(Reply::Outline { .. } | Reply::NeedParts { .. } | Reply::Entries { .. })) => {
                    return Err(format!("{}: the agent speaks of what it was not asked for", self.host));
                }
                Ok(Some(Reply::Hello(_) | Reply::Refused(_) | Reply::Bye) | None) => {
                    return Err(format!("{}: the agent ended the conversation", self.host));
                }
                Err(error) => return Err(format!("{}: {error}", self.host)),
            }
        }
    }

    /// Ends the conversation, and with it the lock.
    pub(super) async fn close(mut self) {
        self.wire.send(Request::Goodbye);
        let bye = async { while !matches!(self.wire.next().await, Ok(None | Some(Reply::Bye)) | Err(_)) {} };
        // Without an answer the link is closed; the agent leaves then just the same.
        drop(timeout(GOODBYE, bye).await);
    }
}
