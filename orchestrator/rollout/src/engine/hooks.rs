//! Drains nodes on external load balancers by hooks. Their state cannot be queried, so a marker
//! file on the node's host records it, from before the first drain call until after the last
//! undrain call. The next run finds it.

use std::time::Duration;

use apim_protocol::observation::Answer;
use apim_protocol::operation::file::{File, Show};
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::{Difference, Failure, Outcome};
use apim_protocol::value::{FileMode, Owner};
use tokio::time::{Instant, sleep};

use super::event::{Event, Level};
use super::settings::Refusal;
use super::shared::Shared;
use super::side_session::SideSession;
use apim_product::hook::{Hook, Hooks};
use apim_transport::host::HostName;

/// Reason for a node that a hook drained and that was not undrained.
pub(super) const LEFT_OUT: &str = "drained by a hook and not undrained";
/// Pause between two attempts, and between two drain checks.
const PAUSE: Duration = Duration::from_secs(1);
/// Time for the session itself, on top of the timeout of the hook.
const SLACK: Duration = Duration::from_secs(15);

/// Writes the marker file on the node's host, before the first hook is called.
pub(super) async fn mark(shared: &Shared, hooks: &Hooks) -> Result<(), String> {
    let (run, operator) = (&shared.settings.run, &shared.settings.operator);
    let text = format!("{} was drained by hooks in run {run} of {operator}\n", hooks.node);
    let host = HostName(hooks.host.clone());
    let mut side = SideSession::open(shared, &host, true).await?;
    let content = side.contents.add(text.into_bytes());
    let file = File {
        path: hooks.marker.clone(),
        content,
        mode: Some(FileMode::new(0o644)),
        owner: Owner::default(),
        show: Show::Text,
    };
    let title = format!("{}: drained by hooks", hooks.node);
    let outcome = side.run(&title, &Operation::File(file), Mode::Apply).await;
    side.close().await;
    done(outcome?, "cannot write the drain marker on its host")
}

/// Calls all drain hooks.
pub(super) async fn drain(shared: &Shared, hooks: &Hooks) -> Result<(), String> {
    for hook in &hooks.drain {
        called(shared, hook).await?;
    }
    Ok(())
}

/// Calls all undrain hooks and removes the marker file.
pub(super) async fn undrain(shared: &Shared, hooks: &Hooks) -> Result<(), String> {
    for hook in &hooks.undrain {
        called(shared, hook).await?;
    }
    let host = HostName(hooks.host.clone());
    let mut side = SideSession::open(shared, &host, true).await?;
    let title = format!("{}: undrained by hooks", hooks.node);
    let outcome = side.run(&title, &hooks.unmarked(), Mode::Apply).await;
    side.close().await;
    done(outcome?, "undrained by hooks, but cannot remove the drain marker on its host")
}

/// Polls the `drained` hooks until all of them succeed. After `limit` the error contains the last
/// answer.
pub(super) async fn drained(shared: &Shared, hooks: &Hooks, limit: Duration) -> Result<(), String> {
    let until = Instant::now() + limit;
    for hook in &hooks.drained {
        let mut hook = hook.filled(&shared.settings.run, &shared.settings.operator);
        loop {
            let left = until.saturating_duration_since(Instant::now()).as_secs();
            hook.timeout_secs = hook.timeout_secs.min(left.max(1));
            let Err(Refusal { failure, .. }) = once(shared, &hook, Mode::Check).await else { break };
            if shared.is_interrupted() {
                return Ok(());
            }
            if Instant::now() + PAUSE > until {
                return Err(format!("after {} s: {}", limit.as_secs(), words(&failure)));
            }
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Returns the display names of the hooks.
pub(super) fn shown(hooks: &[Hook]) -> impl Iterator<Item = String> {
    hooks.iter().map(|hook| format!("hook `{}`", hook.words))
}

/// Returns the hook calls as a difference.
pub(super) fn calls(hooks: &[Hook]) -> Difference {
    Difference::of(shown(hooks).map(|hook| format!("call {hook}")))
}

/// Calls one hook, with its number of retries.
async fn called(shared: &Shared, hook: &Hook) -> Result<(), String> {
    let hook = hook.filled(&shared.settings.run, &shared.settings.operator);
    let mut left = hook.retries;
    loop {
        let Err(Refusal { failure, may_pass }) = once(shared, &hook, Mode::Apply).await else {
            return Ok(());
        };
        if left == 0 || !may_pass {
            return Err(words(&failure));
        }
        let text = format!("{}; {left} retries left", words(&failure));
        shared.tell(Event::Note(Level::Info, text));
        left -= 1;
        sleep(PAUSE).await;
    }
}

/// Calls one hook once. In check mode it must not change anything.
async fn once(shared: &Shared, hook: &Hook, mode: Mode) -> Result<(), Refusal> {
    let (Some(host), Some(operation)) = (hook.on(), hook.operation(mode == Mode::Check)) else {
        return match &shared.settings.hooks {
            Some(caller) => caller.0.call(hook).await,
            None => Err(refusal(hook.failure("this build cannot call HTTP hooks", ""), false)),
        };
    };
    let host = HostName(host.to_owned());
    let outcome = async {
        let mut side = SideSession::open(shared, &host, mode == Mode::Apply).await?;
        let limit = Duration::from_secs(hook.timeout_secs) + SLACK;
        let outcome = side.run_within(&format!("hook `{}`", hook.words), &operation, mode, limit).await;
        side.close().await;
        outcome
    };
    match outcome.await {
        Err(why) => Err(refusal(hook.failure(&why, ""), true)),
        Ok(Outcome::Observed(seen)) => match seen.answers.as_slice() {
            [Answer::Printed(printed)] => {
                let ended = if printed.ended.is_success() { Ok(()) } else { Err(printed.ended.to_string()) };
                let may_pass = matches!(printed.ended, apim_protocol::observation::Ended::Exited(_));
                let output = format!("{}\n{}", printed.stdout, printed.stderr);
                hook.judged(ended, &output).map_err(|failure| refusal(failure, may_pass))
            }
            _ => Err(refusal(hook.failure("the agent reported no exit status", ""), false)),
        },
        Ok(Outcome::Failed(failure)) => Err(refusal(hook.failure(&failure.what, ""), false)),
        Ok(_) => Err(refusal(hook.failure("not run", ""), false)),
    }
}

const fn refusal(failure: Failure, may_pass: bool) -> Refusal {
    Refusal { failure, may_pass }
}

/// Returns a failure on one line, with the end of its output.
fn words(failure: &Failure) -> String {
    match failure.log.as_slice() {
        [] => failure.what.clone(),
        output => format!("{}; output: {}", failure.what, output.join(" / ")),
    }
}

fn done(outcome: Outcome, otherwise: &str) -> Result<(), String> {
    match outcome {
        Outcome::Failed(failure) => Err(format!("{otherwise}: {}", failure.what)),
        _ => Ok(()),
    }
}
