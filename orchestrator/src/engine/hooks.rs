//! Load balancers that somebody else sees to are told of a node by hooks. What they were told cannot be looked up there, so it is kept
//! on the node's host, from before the first call until the last one that takes it back: whoever runs next finds it.

use std::time::Duration;

use apim_protocol::observation::Answer;
use apim_protocol::operation::file::{File, Show};
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::{Difference, Failure, Outcome};
use apim_protocol::value::{FileMode, Owner};
use tokio::time::{Instant, sleep};

use super::beside::Beside;
use super::event::{Event, Level};
use super::settings::Refusal;
use super::worker::Shared;
use crate::inventory::host::HostName;
use crate::plan::model::{Hook, Hooks};

/// Why a node counts as down that a hook took out, and that nobody put back.
pub(super) const LEFT_OUT: &str = "a hook took it out of rotation, and it was not put back";
/// Between two tries, and between two questions whether a node is free.
const PAUSE: Duration = Duration::from_secs(1);
/// What a conversation takes beside what the hook itself may take.
const SLACK: Duration = Duration::from_secs(15);

/// Keeps on the node's host that it is taken out by hooks from now on.
pub(super) async fn mark(shared: &Shared, hooks: &Hooks) -> Result<(), String> {
    let (run, operator) = (&shared.settings.run, &shared.settings.operator);
    let text = format!("{} was taken out of rotation by hooks, in run {run} of {operator}\n", hooks.node);
    let host = HostName(hooks.host.clone());
    let mut beside = Beside::open(shared, &host, true).await?;
    let content = beside.contents.add(text.into_bytes());
    let file = File {
        path: hooks.marker.clone(),
        content,
        mode: Some(FileMode::new(0o644)),
        owner: Owner::default(),
        show: Show::Text,
    };
    let title = format!("{}: taken out of rotation by hooks", hooks.node);
    let outcome = beside.run(&title, &Operation::File(file), Mode::Apply).await;
    beside.close().await;
    done(outcome?, "it cannot be kept on its host that hooks are called")
}

/// Tells all that are to give it no new requests.
pub(super) async fn drain(shared: &Shared, hooks: &Hooks) -> Result<(), String> {
    for hook in &hooks.drain {
        called(shared, hook).await?;
    }
    Ok(())
}

/// Tells all that are to give it requests again, and forgets that it was out.
pub(super) async fn undrain(shared: &Shared, hooks: &Hooks) -> Result<(), String> {
    for hook in &hooks.undrain {
        called(shared, hook).await?;
    }
    let host = HostName(hooks.host.clone());
    let mut beside = Beside::open(shared, &host, true).await?;
    let title = format!("{}: put back into rotation by hooks", hooks.node);
    let outcome = beside.run(&title, &hooks.unmarked(), Mode::Apply).await;
    beside.close().await;
    done(outcome?, "hooks have put it back, and its host cannot be told so")
}

/// Asks until everybody says that nobody is served by the node any more; an error says what was heard last when `limit` is over.
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

/// Returns the hooks as they are shown.
pub(super) fn shown(hooks: &[Hook]) -> impl Iterator<Item = String> {
    hooks.iter().map(|hook| format!("hook `{}`", hook.words))
}

/// Returns what calling them is, as a difference.
pub(super) fn calls(hooks: &[Hook]) -> Difference {
    Difference::of(shown(hooks).map(|hook| format!("call {hook}")))
}

/// Calls one, again after a failure as often as it says.
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
        let text = format!("{}; {left} more tries", words(&failure));
        shared.tell(Event::Note(Level::Info, text));
        left -= 1;
        sleep(PAUSE).await;
    }
}

/// Calls one. In check mode it only asks.
async fn once(shared: &Shared, hook: &Hook, mode: Mode) -> Result<(), Refusal> {
    let (Some(host), Some(operation)) = (hook.on(), hook.operation(mode == Mode::Check)) else {
        return match &shared.settings.hooks {
            Some(caller) => caller.0.call(hook).await,
            None => Err(refusal(hook.failure("nobody here can call it", ""), false)),
        };
    };
    let host = HostName(host.to_owned());
    let outcome = async {
        let mut beside = Beside::open(shared, &host, mode == Mode::Apply).await?;
        let limit = Duration::from_secs(hook.timeout_secs) + SLACK;
        let outcome = beside.run_within(&format!("hook `{}`", hook.words), &operation, mode, limit).await;
        beside.close().await;
        outcome
    };
    match outcome.await {
        Err(why) => Err(refusal(hook.failure(&why, ""), true)),
        Ok(Outcome::Observed(seen)) => match seen.answers.as_slice() {
            [Answer::Printed(printed)] => {
                let ended = if printed.ended.is_success() { Ok(()) } else { Err(printed.ended.to_string()) };
                let may_pass = matches!(printed.ended, apim_protocol::observation::Ended::Exited(_));
                let said = format!("{}\n{}", printed.stdout, printed.stderr);
                hook.judged(ended, &said).map_err(|failure| refusal(failure, may_pass))
            }
            _ => Err(refusal(hook.failure("its host does not say how it ended", ""), false)),
        },
        Ok(Outcome::Failed(failure)) => Err(refusal(hook.failure(&failure.what, ""), false)),
        Ok(_) => Err(refusal(hook.failure("it was not run", ""), false)),
    }
}

const fn refusal(failure: Failure, may_pass: bool) -> Refusal {
    Refusal { failure, may_pass }
}

/// Returns a failure in one line, with the end of what was said.
fn words(failure: &Failure) -> String {
    match failure.log.as_slice() {
        [] => failure.what.clone(),
        said => format!("{}; it said: {}", failure.what, said.join(" / ")),
    }
}

fn done(outcome: Outcome, otherwise: &str) -> Result<(), String> {
    match outcome {
        Outcome::Failed(failure) => Err(format!("{otherwise}: {}", failure.what)),
        _ => Ok(()),
    }
}
