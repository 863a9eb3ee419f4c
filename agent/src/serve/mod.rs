//! The conversation with the orchestrator: a queue of steps run in order on this thread, a thread that reads, one that writes.
//!
//! When the input ends, or SIGTERM comes, the step in hand is finished and journalled, and then the agent leaves. A broken output
//! never ends a step. What an operation does to the host is not here.

use std::error::Error;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use apim_protocol::frame::FrameError;
use apim_protocol::message::{Hello, Job, Open, Refused, Reply, Request, Run};
use apim_protocol::operation::Mode;
use apim_protocol::outcome::{Failure, Outcome};
use dialogue::StepDialogue;
use inbox::{Event, Inbox};
use journal::{Journal, Line};
use lock::{Lock, LockError};
use outbox::Outbox;
use spool::Spool;

use crate::operation::converge;
use crate::query::observe;
use crate::system::{System, SystemError};

mod dialogue;
mod inbox;
mod journal;
mod lock;
mod outbox;
mod process;
mod spool;
#[cfg(test)]
mod tests;

pub use process::{own_build, prepare_process};

/// The serving process.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The digest of the agent's own executable.
    pub build: String,
    /// Whether SIGTERM and SIGHUP are ours to handle (not so when served within another program, as in tests).
    pub signals: bool,
}

/// Why the agent could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What came was not understood.
    #[error("invalid message from orchestrator")]
    Frame(#[from] FrameError),
    /// The first message was not Open.
    #[error("the first message must be `open`")]
    NotOpened,
    /// The host refused something the agent needs for itself.
    #[error("the agent's own files cannot be used")]
    System(#[from] SystemError),
    /// The journal or the spool cannot be used.
    #[error("cannot {attempt}")]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// Returns an error and its causes in one line.
#[must_use]
pub fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// Serves one orchestrator on a stream until it says goodbye, or is gone.
///
/// # Errors
/// When the conversation cannot begin, or is not understood.
pub fn serve(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    system: &System,
    identity: &Identity,
) -> Result<(), ServeError> {
    let outbox = Outbox::start(output);
    let inbox = Inbox::start(input, identity.signals);
    let result = converse(&inbox, &outbox, system, identity);
    outbox.close(!inbox.is_hung_up());
    result
}

fn converse(
    inbox: &Inbox,
    outbox: &Arc<Outbox>,
    system: &System,
    identity: &Identity,
) -> Result<(), ServeError> {
    let open = match inbox.next() {
        Event::Request(Request::Open(open)) => open,
        Event::Request(_) => return Err(ServeError::NotOpened),
        Event::Broken(error) => return Err(error.into()),
        Event::HungUp => return Ok(()),
    };
    let lock = match open.lock.then(|| Lock::take(system, &open, inbox)).transpose() {
        Ok(lock) => lock,
        Err(LockError::Held(why)) => {
            outbox.send(&Reply::Refused(Refused { why }));
            return Ok(());
        }
        Err(LockError::Io(source)) => {
            let why = format!("the host's lock cannot be used: {source}");
            outbox.send(&Reply::Refused(Refused { why }));
            return Err(ServeError::Io { attempt: "use the host's lock", source });
        }
    };
    let spool = Spool::open(system, lock.as_ref().is_some_and(Lock::is_own))
        .map_err(|source| ServeError::Io { attempt: "use the spool folder", source })?;
    let journal = Journal::new(system.state().folder());
    // Only with the lock it is certain that no other agent of the run still works on a step.
    let done = if open.again && lock.is_some() { journal.done(&open.run) } else { Vec::new() };
    let hello = Hello { build: identity.build.clone(), facts: system.facts(), done };
    outbox.send(&Reply::Hello(Box::new(hello)));
    let mut worker =
        Worker { inbox, outbox, system, open, locked: lock.is_some(), spool, journal, failed: false };
    let result = worker.work();
    if let Err(error) = worker.journal.seal() {
        writeln!(std::io::stderr(), "apim-agent: cannot keep the end of the journal: {error}").ok();
    }
    // The lock is released last: nothing touches the host after it.
    drop(worker);
    drop(lock);
    result
}

struct Worker<'a> {
    inbox: &'a Inbox,
    outbox: &'a Arc<Outbox>,
    system: &'a System,
    open: Open,
    locked: bool,
    spool: Spool,
    journal: Journal,
    failed: bool,
}

impl Worker<'_> {
    fn work(&mut self) -> Result<(), ServeError> {
        loop {
            if self.outbox.is_broken() && !self.inbox.is_leaving() {
                return Ok(());
            }
            match self.inbox.next() {
                Event::Request(Request::Run(run)) => {
                    if self.inbox.is_hung_up() {
                        return Ok(());
                    }
                    self.step(&run);
                }
                Event::Request(Request::Resume) => self.failed = false,
                Event::Request(Request::Goodbye) => {
                    self.outbox.send(&Reply::Bye);
                    return Ok(());
                }
                // The reading thread handles Cancel at once; late answers are dropped there too.
                Event::Request(
                    Request::Cancel
                    | Request::NoContent { .. }
                    | Request::Outline { .. }
                    | Request::PermitDecision { .. }
                    | Request::Open(_)
                    | Request::Alive { .. },
                ) => {}
                Event::Broken(error) => return Err(error.into()),
                Event::HungUp => return Ok(()),
            }
        }
    }

    fn step(&mut self, run: &Run) {
        let begun = Instant::now();
        let is_check = matches!(run.job, Job::Operation { mode: Mode::Check, .. });
        let outcome = if self.inbox.is_cancelled() {
            Outcome::Skipped("the run was cancelled".to_owned())
        } else if self.failed {
            Outcome::Skipped("an earlier step failed".to_owned())
        } else if run.job.may_change() && !self.locked {
            let what = "read-only session: no lock was taken, so nothing may be changed";
            Outcome::Failed(Failure::new(what))
        } else {
            self.outbox.send(&Reply::Started { step: run.step });
            let mut dialogue = StepDialogue::new(run.step, self.inbox, self.outbox, &mut self.spool);
            match &run.job {
                Job::Query(query) => observe(query, self.system, &mut dialogue),
                Job::Operation { operation, mode } => converge(operation, *mode, self.system, &mut dialogue),
            }
        };
        self.spool.release();
        if outcome.is_failure() && !run.ignore_failure && !is_check {
            self.failed = true;
        }
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if run.job.may_change() && self.locked {
            self.write_journal(run, &outcome, millis);
        }
        self.outbox.send(&Reply::Finished { step: run.step, outcome, millis });
    }

    fn write_journal(&mut self, run: &Run, outcome: &Outcome, millis: u64) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (word, detail) = journal::words(outcome);
        let line = Line {
            before: None,
            time,
            run: &self.open.run,
            step: run.step,
            operator: &self.open.operator,
            title: &run.title,
            outcome: word,
            detail,
            changes: journal::typed(outcome),
            millis,
        };
        if let Err(error) = self.journal.append(line) {
            // The host's work counts more than the record of it; the orchestrator has the outcome too.
            writeln!(std::io::stderr(), "apim-agent: cannot write the journal: {error}").ok();
        }
    }
}
