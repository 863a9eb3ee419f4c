//! A side session with a host, for a check or a small change that is not a step of the plan. It
//! runs in parallel to the main session of the run.

use std::time::Duration;

use apim_protocol::message::{Job, Reply, Request, Run, StepId};
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Outcome;
use apim_protocol::value::Content;
use tokio::time::timeout;

use super::link::{Manner, Unreached, open_once};
use super::shared::Shared;
use super::wire::{Upload, Wire};
use crate::plan::model::Contents;
use apim_transport::failure::one_line;
use apim_transport::host::HostName;

/// Id of operations that are not steps. No plan has so many steps.
const NAMELESS: StepId = StepId(u32::MAX);
/// How long one operation may take.
const DEADLINE: Duration = Duration::from_secs(150);
/// How long to wait for the agent's goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// A side session.
pub(super) struct SideSession<'a> {
    shared: &'a Shared,
    host: &'a HostName,
    wire: Wire,
    /// Content that is not part of the plan.
    pub(super) contents: Contents,
}

impl<'a> SideSession<'a> {
    /// Opens a session. Changes require `lock`. An error is the reason why it failed.
    pub(super) async fn open(shared: &'a Shared, host: &'a HostName, lock: bool) -> Result<Self, String> {
        match open_once(shared, host, Manner { lock, again: false, shares_lock: true }).await {
            Ok(wire) => Ok(Self { shared, host, wire, contents: Contents::default() }),
            Err(Unreached::Gone(failure)) => Err(format!("{host}: {}", one_line(&failure))),
            Err(Unreached::Held(why)) => Err(format!("{host}: {why}")),
            Err(Unreached::Interrupted) => Err("interrupted".to_owned()),
        }
    }

    /// Resumes a session that was kept.
    pub(super) fn resume(shared: &'a Shared, host: &'a HostName, wire: Wire) -> Self {
        Self { shared, host, wire, contents: Contents::default() }
    }

    /// Keeps the session for later.
    pub(super) fn keep(self) -> (&'a HostName, Wire) {
        (self.host, self.wire)
    }

    /// Checks or applies one operation. An error is the reason why the session broke off.
    pub(super) async fn run(
        &mut self,
        title: &str,
        operation: &Operation,
        mode: Mode,
    ) -> Result<Outcome, String> {
        self.run_within(title, operation, mode, DEADLINE).await
    }

    /// Like [`Self::run`], with a deadline of `limit`.
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
                            let why = "no such content".to_owned();
                            self.wire.send(Request::NoContent { sha256, why });
                        }
                    }
                }
                Ok(Some(Reply::PermitRequest { step, .. })) => {
                    self.wire.send(Request::PermitDecision { step, refused: None })
                }
                Ok(Some(Reply::Started { .. } | Reply::Progress { .. })) => {}
                // Side sessions transfer no zips and follow no logs.
                Ok(Some(Reply::Outline { .. } | Reply::NeedParts { .. } | Reply::Entries { .. })) => {
                    return Err(format!("{}: protocol error: unexpected reply from the agent", self.host));
                }
                Ok(Some(Reply::Hello(_) | Reply::Refused(_) | Reply::Bye) | None) => {
                    return Err(format!("{}: the agent closed the session", self.host));
                }
                Err(error) => return Err(format!("{}: {error}", self.host)),
            }
        }
    }

    /// Closes the session and releases the lock.
    pub(super) async fn close(mut self) {
        self.wire.send(Request::Goodbye);
        let bye = async { while !matches!(self.wire.next().await, Ok(None | Some(Reply::Bye)) | Err(_)) {} };
        // Without an answer the link is closed, and the agent exits then as well.
        drop(timeout(GOODBYE, bye).await);
    }
}
