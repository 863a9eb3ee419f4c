//! Steps that the orchestrator does by itself in place of a host's agent: when they are due, and what their outcome counts for.
//! How they are done is somebody else's: see [`Errands`].

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use apim_protocol::operation::Mode;
use apim_protocol::outcome::{Failure, Outcome};
use tokio::time::{Instant, sleep};

use super::event::{Event, Level};
use super::hidden;
use super::result::HostEnd;
use super::rotation;
use super::settings::Interrupt;
use super::worker::{Shared, Worker};
use crate::inventory::host::HostName;
use crate::plan::model::{Contents, DatabaseWork, Step, Work};

/// What is to be done for a host.
pub struct Errand<'a> {
    /// The host.
    pub host: &'a HostName,
    /// The work.
    pub work: &'a DatabaseWork,
    /// The bytes that it may need, by digest.
    pub contents: &'a Contents,
    /// Whether anything may be changed.
    pub mode: Mode,
    /// Hears how far it is: what, done, total.
    pub progress: &'a (dyn Fn(&str, u64, u64) + Send + Sync),
}

/// Does errands. In check mode it only looks; applied a second time it changes nothing.
pub trait Errands: Send + Sync + 'static {
    /// Does one.
    fn run<'a>(&'a self, errand: Errand<'a>) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
}

/// Where there is nobody who could do one.
#[derive(Debug, Clone, Copy)]
pub struct NoErrands;

impl Errands for NoErrands {
    fn run<'a>(&'a self, _errand: Errand<'a>) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async { Outcome::Failed(Failure::new("nobody here can do this")) })
    }
}

/// Looks at every one of `steps`, one after the other; says what each found and how long it took.
pub(super) async fn survey<'a>(
    shared: &Shared,
    host: &HostName,
    steps: &[&'a Step],
) -> Vec<(&'a Step, Outcome, Duration)> {
    let mut found = Vec::new();
    for step in steps {
        if shared.is_interrupted() {
            break;
        }
        let begun = Instant::now();
        let outcome = hidden::outcome(step, once(shared, host, step, Mode::Check).await);
        found.push((*step, outcome, begun.elapsed()));
    }
    found
}

/// Does `steps` in the mode of the run, up to the first failure.
pub(super) async fn run(shared: &Shared, worker: &mut Worker, steps: &[&Step]) {
    for step in steps {
        if shared.is_interrupted() {
            worker.result.end = HostEnd::Stopped(Some(step.title.clone()));
            return;
        }
        let host = worker.host.clone();
        shared.tell(Event::StepStarted(host.clone(), step.id, step.title.clone()));
        let begun = Instant::now();
        let mode = if step.check_only { Mode::Check } else { shared.settings.mode };
        let outcome = hidden::outcome(step, tried(shared, &host, step, mode).await);
        let failed = outcome.is_failure() && !step.ignore_failure;
        shared.tell(Event::StepFinished(host, step.id, step.title.clone(), outcome.clone(), begun.elapsed()));
        worker.record(step.id, outcome, step.ignore_failure);
        if failed {
            worker.result.end = HostEnd::Failed(step.title.clone());
            return;
        }
    }
}

/// Does a step, again after a failure as often as it says.
async fn tried(shared: &Shared, host: &HostName, step: &Step, mode: Mode) -> Outcome {
    let mut interrupt = shared.interrupt.clone();
    let mut left = step.retries;
    loop {
        let outcome = once(shared, host, step, mode).await;
        let (Outcome::Failed(failure), 1.., false) = (&outcome, left, shared.is_interrupted()) else {
            return outcome;
        };
        let note = format!("{host}: {}: {}; {left} more tries", step.title, failure.what);
        shared.tell(Event::Note(Level::Info, note));
        left -= 1;
        tokio::select! {
            () = sleep(Duration::from_secs(u64::from(step.delay_secs))) => {}
            _ = interrupt.wait_for(|wish| *wish >= Interrupt::Finish) => return outcome,
        }
    }
}

async fn once(shared: &Shared, host: &HostName, step: &Step, mode: Mode) -> Outcome {
    let work = match &step.work {
        Work::Host(_) | Work::Query(_) => return Outcome::Ok,
        Work::Shift(shift) => return rotation::shift(shared, shift, mode).await,
        Work::Database(work) => work,
    };
    let progress = |what: &str, done: u64, total: u64| {
        if mode == Mode::Apply {
            shared.tell(Event::StepProgress(host.clone(), step.id, what.to_owned(), done, total));
        }
    };
    let contents = &shared.plan.contents;
    shared.errands.run(Errand { host, work, contents, mode, progress: &progress }).await
}
