//! Drains a node on all load balancers before it is taken down, and undrains it after its health
//! check has passed.

use std::sync::Arc;
use std::time::Duration;

use apim_protocol::operation::wait::{Condition, Wait};
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::{Failure, Outcome};

use tokio::time::{Instant, sleep};

use super::drained::Out;
use super::event::{Event, Level};
use super::hooks;
use super::shared::Shared;
use super::side_session::SideSession;
use crate::plan::model::{Balancer, Rotation};
use apim_product::NodeName;
use apim_product::hook::{Hooks, Shift, ShiftSpec};

/// Pause between two counts of a node's connections.
const PAUSE: Duration = Duration::from_millis(150);
/// How long there must be no connections. Old workers of a load balancer may still accept a request
/// shortly after a reload.
const SETTLE: Duration = Duration::from_millis(1000);

/// Direction of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

/// Drains `node` on every load balancer and waits until it has no connections, up to the limit of
/// the plan. An error describes the load balancer that failed; the node was undrained on the
/// others.
pub(super) async fn take_out(shared: &Shared, node: &NodeName) -> Result<(), String> {
    let Some(rotation) = shared.plan.rotations.get(node) else { return Ok(()) };
    shared.drained.state().out.insert(node.clone(), Out::Leaving);
    match drain_everywhere(shared, rotation, node).await {
        Ok(changed) if changed.is_empty() => {
            shared.drained.is_back(node);
            Ok(())
        }
        Ok(changed) => {
            note(shared, Level::Info, format!("{node} is out of rotation ({})", changed.join(", ")));
            wait_until_quiet(shared, rotation, node).await;
            if !shared.is_interrupted() {
                return Ok(());
            }
            put_back(shared, node).await.and(Err("interrupted".to_owned()))
        }
        Err(why) => {
            if let Err(worse) = put_back(shared, node).await {
                note(shared, Level::Warning, worse);
            }
            Err(format!("{node} could not be drained: {why}"))
        }
    }
}

async fn drain_everywhere(
    shared: &Shared,
    rotation: &Rotation,
    node: &NodeName,
) -> Result<Vec<String>, String> {
    let mut changed = turn(shared, rotation, node, Way::Out).await?;
    if let Some(hooks) = &rotation.hooks {
        let _turn = shared.drained.turn.lock().await;
        hooks::mark(shared, hooks).await?;
        shared.drained.state().hooked.insert(node.clone(), Arc::clone(hooks));
        hooks::drain(shared, hooks).await?;
        changed.extend(hooks::shown(&hooks.drain));
    }
    Ok(changed)
}

/// Like [`take_out`], for a node that is down already: it must get no requests before it is
/// healthy, but a failure does not keep it down. Hooks are not called, because external load
/// balancers detect nodes that are down.
pub(super) async fn keep_out(shared: &Shared, node: &NodeName) {
    let Some(rotation) = shared.plan.rotations.get(node) else { return };
    if rotation.balancers.is_empty() {
        return;
    }
    shared.drained.state().out.insert(node.clone(), Out::Down);
    if let Err(why) = turn(shared, rotation, node, Way::Out).await {
        note(shared, Level::Warning, format!("{node} is started while in rotation: {why}"));
    }
}

/// Undrains `node` if it is drained.
pub(super) async fn put_back(shared: &Shared, node: &NodeName) -> Result<(), String> {
    if !shared.drained.is_out(node) {
        return Ok(());
    }
    let changed = undrain_everywhere(shared, node).await;
    let changed = changed.map_err(|why| format!("{node} could not be undrained: {why}"))?;
    shared.drained.is_back(node);
    if !changed.is_empty() {
        note(shared, Level::Info, format!("{node} is back in rotation ({})", changed.join(", ")));
    }
    Ok(())
}

/// A load balancer that fails does not stop the others.
async fn undrain_everywhere(shared: &Shared, node: &NodeName) -> Result<Vec<String>, String> {
    let ours = match shared.plan.rotations.get(node) {
        Some(rotation) => turn(shared, rotation, node, Way::In).await,
        None => Ok(Vec::new()),
    };
    let Some(hooks) = shared.drained.hooked(node) else { return ours };
    let _turn = shared.drained.turn.lock().await;
    match (ours, hooks::undrain(shared, &hooks).await) {
        (Ok(mut changed), Ok(())) => {
            changed.extend(hooks::shown(&hooks.undrain));
            Ok(changed)
        }
        (Err(one), Err(other)) => Err(format!("{one}; {other}")),
        (Err(why), Ok(())) | (Ok(_), Err(why)) => Err(why),
    }
}

/// Runs a step that drains or undrains a node by hooks.
pub(super) async fn shift(shared: &Shared, shift: &Shift, mode: Mode) -> Outcome {
    let Shift { hooks, spec } = shift;
    let node = &hooks.node;
    let (done, changed) = match (mode, spec) {
        (Mode::Check, ShiftSpec::UndrainIfDrained) => return Outcome::Ok,
        (Mode::Check, ShiftSpec::Drain(_)) => return Outcome::WouldChange(hooks::calls(&hooks.drain)),
        (Mode::Check, ShiftSpec::Undrain) => return Outcome::WouldChange(hooks::calls(&hooks.undrain)),
        // The health check has usually undrained it already.
        (Mode::Apply, ShiftSpec::UndrainIfDrained) if !shared.drained.state().left_out.contains(node) => {
            return Outcome::Ok;
        }
        (Mode::Apply, ShiftSpec::UndrainIfDrained) => (put_back(shared, node).await, &hooks.undrain),
        (Mode::Apply, ShiftSpec::Undrain) => (hooks::undrain(shared, hooks).await, &hooks.undrain),
        (Mode::Apply, ShiftSpec::Drain(limit)) => (drain_by_hooks(shared, hooks, *limit).await, &hooks.drain),
    };
    match done {
        Ok(()) => Outcome::Changed(hooks::calls(changed)),
        Err(why) => Outcome::Failed(Failure::new(why).hint(BY_HAND)),
    }
}

/// Hint after a failed hook.
const BY_HAND: &str = "fix the load balancer; `apim-deploy undrain` calls the undrain hooks again";

async fn drain_by_hooks(shared: &Shared, hooks: &Hooks, limit: u64) -> Result<(), String> {
    hooks::mark(shared, hooks).await?;
    if let Err(why) = hooks::drain(shared, hooks).await {
        let back = hooks::undrain(shared, hooks).await;
        return Err(match back {
            Ok(()) => why,
            Err(worse) => format!("{why}; undraining failed: {worse}"),
        });
    }
    if let Err(why) = hooks::drained(shared, hooks, Duration::from_secs(limit)).await {
        note(shared, Level::Warning, format!("{} may still have active connections: {why}", hooks.node));
    }
    Ok(())
}

/// Records that `node` is down and must be undrained when it is healthy, wherever an earlier run
/// drained it.
pub(super) fn expect_back(shared: &Shared, node: &NodeName) {
    if shared.plan.rotations.contains_key(node) {
        shared.drained.state().out.insert(node.clone(), Out::Down);
    }
}

/// Undrains `node` if it was drained but not taken down. Returns whether that was so. A node whose
/// host was `lost` stays drained, because its state is unknown.
pub(super) async fn reconsider(shared: &Shared, node: &NodeName, lost: bool) -> bool {
    let is_leaving = shared.drained.is_leaving(node);
    if is_leaving && lost {
        let text = format!("{node} stays drained: the link to its host was lost; the next apply undrains it");
        note(shared, Level::Warning, text);
        return false;
    }
    if is_leaving && let Err(why) = put_back(shared, node).await {
        note(shared, Level::Warning, why);
    }
    is_leaving
}

/// Changes every load balancer. Returns the names of those that know the node.
async fn turn(
    shared: &Shared,
    rotation: &Rotation,
    node: &NodeName,
    way: Way,
) -> Result<Vec<String>, String> {
    let _turn = shared.drained.turn.lock().await;
    let mut changed = Vec::new();
    for balancer in &rotation.balancers {
        if change_one(shared, balancer, node, way).await? {
            changed.push(balancer.host.0.clone());
        }
    }
    Ok(changed)
}

/// Changes one load balancer. Returns whether it knows the node.
async fn change_one(shared: &Shared, balancer: &Balancer, node: &NodeName, way: Way) -> Result<bool, String> {
    let mut side = SideSession::open(shared, &balancer.host, true).await?;
    let changed = change_over(&mut side, balancer, node, way).await;
    side.close().await;
    changed.map_err(|why| format!("load balancer {}: {why}", balancer.host))
}

async fn change_over(
    side: &mut SideSession<'_>,
    balancer: &Balancer,
    node: &NodeName,
    way: Way,
) -> Result<bool, String> {
    let known = look("the node's files", vec![Condition::Exists(balancer.known_by.clone())]);
    if !matches!(side.run("known", &known, Mode::Check).await?, Outcome::Ok) {
        return Ok(false);
    }
    let (title, operation) = match way {
        Way::Out => (format!("{node}: drain"), &balancer.drain),
        Way::In => (format!("{node}: undrain"), &balancer.undrain),
    };
    match side.run(&title, operation, Mode::Apply).await? {
        Outcome::Failed(failure) => {
            let causes: String = failure.causes.iter().map(|cause| format!("; {cause}")).collect();
            Err(format!("{}{causes}", failure.what))
        }
        _ => Ok(true),
    }
}

/// Waits until the node has no more connections from the load balancers.
async fn wait_until_quiet(shared: &Shared, rotation: &Rotation, node: &NodeName) {
    let begun = Instant::now();
    let limit = Duration::from_secs(rotation.limit_secs);
    if let Some(hooks) = rotation.hooks.as_ref().filter(|hooks| !hooks.drained.is_empty()) {
        match hooks::drained(shared, hooks, limit).await {
            Err(why) => return still_serves(shared, node, &why),
            Ok(()) if rotation.balancers.is_empty() => return,
            Ok(()) => {}
        }
    }
    let why = match SideSession::open(shared, &rotation.host, false).await {
        Err(why) => why,
        Ok(mut side) => {
            let wait = look("quiet", vec![rotation.quiet.clone()]);
            let mut quiet_since = None;
            let why = loop {
                if shared.is_interrupted() {
                    side.close().await;
                    return;
                }
                match side.run("quiet", &wait, Mode::Check).await {
                    Ok(Outcome::Ok) => {
                        let since = *quiet_since.get_or_insert_with(Instant::now);
                        if since.elapsed() >= SETTLE {
                            side.close().await;
                            return;
                        }
                    }
                    Ok(Outcome::WouldChange(found)) if begun.elapsed() < limit => {
                        drop(found);
                        quiet_since = None;
                    }
                    Ok(Outcome::WouldChange(found)) => {
                        let seen = found.changes.first().map(ToString::to_string).unwrap_or_default();
                        break format!("after {} s: {seen}", limit.as_secs());
                    }
                    Ok(_) => break "cannot count its connections".to_owned(),
                    Err(why) => break why,
                }
                sleep(PAUSE).await;
            };
            side.close().await;
            why
        }
    };
    still_serves(shared, node, &why);
}

fn still_serves(shared: &Shared, node: &NodeName, why: &str) {
    note(
        shared,
        Level::Warning,
        format!("{node} is taken down although it may still have active connections: {why}"),
    );
}

pub(super) fn look(awaited: &str, conditions: Vec<Condition>) -> Operation {
    Operation::Wait(Box::new(Wait {
        awaited: awaited.to_owned(),
        conditions,
        deadline_secs: 0,
        service: None,
        settle_secs: 0,
        remedy: None,
    }))
}

fn note(shared: &Shared, level: Level, text: String) {
    shared.tell(Event::Note(level, text));
}
