//! Local tasks: steps that run on the control machine instead of the host's agent. This module
//! decides when they run and how their outcome counts. [`LocalTaskRunner`] runs them.

use std::time::Duration;

use apim_protocol::operation::Mode;
use apim_protocol::outcome::Outcome;
use tokio::time::{Instant, sleep};

use super::event::{Event, Level};
use super::local_task::LocalTask;
use super::redact;
use super::result::HostEnd;
use super::settings::Interrupt;
use super::shared::Shared;
use super::traffic;
use super::worker::Worker;
use crate::plan::model::Step;
use apim_product::work::Work;
use apim_transport::host::HostName;

/// Checks all `steps` in order. Returns the outcome and the duration of each.
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
        let outcome = redact::outcome(step, once(shared, host, step, Mode::Check).await);
        found.push((*step, outcome, begun.elapsed()));
    }
    found
}

/// Runs `steps` in the mode of the run, up to the first failure.
pub(super) async fn run(shared: &Shared, worker: &mut Worker, steps: &[&Step]) {
    for step in steps {
        if shared.is_interrupted() {
            worker.result.end = HostEnd::Stopped(Some(step.title.clone()));
            return;
        }
        let host = worker.host.clone();
        shared.tell(Event::StepStarted(host.clone(), step.id, step.title.clone()));
        let begun = Instant::now();
        let mode = if step.options.check_only { Mode::Check } else { shared.settings.mode };
        let outcome = redact::outcome(step, with_retries(shared, &host, step, mode).await);
        let failed = outcome.is_failure() && !step.options.ignore_failure;
        shared.tell(Event::StepFinished(host, step.id, step.title.clone(), outcome.clone(), begun.elapsed()));
        worker.record(step.id, outcome, step.options.ignore_failure);
        if failed {
            worker.result.end = HostEnd::Failed(step.title.clone());
            return;
        }
    }
}

/// Runs a step, with its number of retries.
async fn with_retries(shared: &Shared, host: &HostName, step: &Step, mode: Mode) -> Outcome {
    let mut interrupt = shared.interrupt.clone();
    let mut left = step.options.retries;
    loop {
        let outcome = once(shared, host, step, mode).await;
        let (Outcome::Failed(failure), 1.., false) = (&outcome, left, shared.is_interrupted()) else {
            return outcome;
        };
        let note = format!("{host}: {}: {}; {left} retries left", step.title, failure.what);
        shared.tell(Event::Note(Level::Info, note));
        left -= 1;
        tokio::select! {
            () = sleep(Duration::from_secs(u64::from(step.options.delay_secs))) => {}
            _ = interrupt.wait_for(|level| *level >= Interrupt::Finish) => return outcome,
        }
    }
}

async fn once(shared: &Shared, host: &HostName, step: &Step, mode: Mode) -> Outcome {
    let work = match &step.work {
        Work::Host(_) | Work::Query(_) => return Outcome::Ok,
        Work::Shift(shift) => return traffic::shift(shared, shift, mode).await,
        Work::Database(work) => work,
    };
    let progress = |what: &str, done: u64, total: u64| {
        if mode == Mode::Apply {
            shared.tell(Event::StepProgress(host.clone(), step.id, what.to_owned(), done, total));
        }
    };
    let contents = &shared.plan.contents;
    shared.local_tasks.run(LocalTask { host, work, contents, mode, progress: &progress }).await
}
