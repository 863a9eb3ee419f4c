//! A node is taken out of the load balancers before it is taken down, and put back when it was shown to be healthy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use apim_protocol::operation::wait::{Condition, Wait};
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::{Failure, Outcome};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::beside::Beside;
use super::event::{Event, Level};
use super::hooks;
use super::worker::Shared;
use crate::plan::model::{Balancer, Hooks, NodeName, Rotation, Shift, ShiftWish};

/// How often a node's connections are counted.
const PAUSE: Duration = Duration::from_millis(150);
/// For how long there must be none. A balancer's former workers may still pick up a request for a moment after they were told to go.
const SETTLE: Duration = Duration::from_millis(1000);

/// Which nodes are out.
#[derive(Default)]
pub(super) struct Rotating {
    state: StdMutex<State>,
    /// One balancer is changed at a time: each is to be tested as it will be read.
    turn: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Those that this run took out, or found left out, and has not put back.
    out: BTreeMap<NodeName, Out>,
    /// Those of them that hooks took out.
    hooked: BTreeMap<NodeName, Arc<Hooks>>,
    /// Those that a hook of a former run took out.
    left_out: BTreeSet<NodeName>,
}

/// Why a node is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Out {
    /// It is about to be taken down.
    Leaving,
    /// It is down, or was.
    Down,
}

/// Which way a node goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

impl Rotating {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether `node` is out, and has not been put back.
    pub(super) fn is_out(&self, node: &NodeName) -> bool {
        self.state().out.contains_key(node)
    }

    /// Notes that `node` may go down now: it stays out until it is healthy.
    pub(super) fn goes_down(&self, node: &NodeName) {
        if let Some(out) = self.state().out.get_mut(node) {
            *out = Out::Down;
        }
    }

    /// Notes that hooks of a former run took a node out: it is put back once it is healthy.
    pub(super) fn was_left_out(&self, hooks: &Arc<Hooks>) {
        let mut state = self.state();
        state.out.insert(hooks.node.clone(), Out::Down);
        state.hooked.insert(hooks.node.clone(), Arc::clone(hooks));
        state.left_out.insert(hooks.node.clone());
    }

    fn is_leaving(&self, node: &NodeName) -> bool {
        self.state().out.get(node) == Some(&Out::Leaving)
    }

    fn hooked(&self, node: &NodeName) -> Option<Arc<Hooks>> {
        self.state().hooked.get(node).cloned()
    }

    fn is_back(&self, node: &NodeName) {
        let mut state = self.state();
        state.out.remove(node);
        state.hooked.remove(node);
    }
}

/// Takes `node` out of every balancer, and waits until nobody is served by it any more, or for as long as the plan says. An error
/// says which balancer did not do it; the others were told to go on as before.
pub(super) async fn take_out(shared: &Shared, node: &NodeName) -> Result<(), String> {
    let Some(rotation) = shared.plan.rotations.get(node) else { return Ok(()) };
    shared.rotating.state().out.insert(node.clone(), Out::Leaving);
    match out_of_all(shared, rotation, node).await {
        Ok(told) if told.is_empty() => {
            shared.rotating.is_back(node);
            Ok(())
        }
        Ok(told) => {
            note(shared, Level::Info, format!("{node} is out of rotation ({})", told.join(", ")));
            become_quiet(shared, rotation, node).await;
            if !shared.is_interrupted() {
                return Ok(());
            }
            put_back(shared, node).await.and(Err("the run was called off".to_owned()))
        }
        Err(why) => {
            if let Err(worse) = put_back(shared, node).await {
                note(shared, Level::Warning, worse);
            }
            Err(format!("{node} could not be taken out of rotation: {why}"))
        }
    }
}

async fn out_of_all(shared: &Shared, rotation: &Rotation, node: &NodeName) -> Result<Vec<String>, String> {
    let mut told = turn(shared, rotation, node, Way::Out).await?;
    if let Some(hooks) = &rotation.hooks {
        let _turn = shared.rotating.turn.lock().await;
        hooks::mark(shared, hooks).await?;
        shared.rotating.state().hooked.insert(node.clone(), Arc::clone(hooks));
        hooks::drain(shared, hooks).await?;
        told.extend(hooks::shown(&hooks.drain));
    }
    Ok(told)
}

/// As [`take_out`], for a node that is down already: it should not be found before it is healthy, but that is no reason to leave
/// it down. Hooks are not called: their balancers look after nodes that are down by themselves.
pub(super) async fn keep_out(shared: &Shared, node: &NodeName) {
    let Some(rotation) = shared.plan.rotations.get(node) else { return };
    if rotation.balancers.is_empty() {
        return;
    }
    shared.rotating.state().out.insert(node.clone(), Out::Down);
    if let Err(why) = turn(shared, rotation, node, Way::Out).await {
        note(shared, Level::Warning, format!("{node} is started although it is in rotation: {why}"));
    }
}

/// Gives `node` requests again, if it is out.
pub(super) async fn put_back(shared: &Shared, node: &NodeName) -> Result<(), String> {
    if !shared.rotating.is_out(node) {
        return Ok(());
    }
    let told = into_all(shared, node).await;
    let told = told.map_err(|why| format!("{node} could not be put back into rotation: {why}"))?;
    shared.rotating.is_back(node);
    if !told.is_empty() {
        note(shared, Level::Info, format!("{node} is back in rotation ({})", told.join(", ")));
    }
    Ok(())
}

/// One that does not answer keeps nobody else from being told.
async fn into_all(shared: &Shared, node: &NodeName) -> Result<Vec<String>, String> {
    let ours = match shared.plan.rotations.get(node) {
        Some(rotation) => turn(shared, rotation, node, Way::In).await,
        None => Ok(Vec::new()),
    };
    let Some(hooks) = shared.rotating.hooked(node) else { return ours };
    let _turn = shared.rotating.turn.lock().await;
    match (ours, hooks::undrain(shared, &hooks).await) {
        (Ok(mut told), Ok(())) => {
            told.extend(hooks::shown(&hooks.undrain));
            Ok(told)
        }
        (Err(one), Err(other)) => Err(format!("{one}; {other}")),
        (Err(why), Ok(())) | (Ok(_), Err(why)) => Err(why),
    }
}

/// Does a step about load balancers that hooks tell.
pub(super) async fn shift(shared: &Shared, shift: &Shift, mode: Mode) -> Outcome {
    let Shift { hooks, wish } = shift;
    let node = &hooks.node;
    let (done, told) = match (mode, wish) {
        (Mode::Check, ShiftWish::Returned) => return Outcome::Ok,
        (Mode::Check, ShiftWish::Out(_)) => return Outcome::WouldChange(hooks::calls(&hooks.drain)),
        (Mode::Check, ShiftWish::In) => return Outcome::WouldChange(hooks::calls(&hooks.undrain)),
        // The proof of its health has put it back, most likely.
        (Mode::Apply, ShiftWish::Returned) if !shared.rotating.state().left_out.contains(node) => {
            return Outcome::Ok;
        }
        (Mode::Apply, ShiftWish::Returned) => (put_back(shared, node).await, &hooks.undrain),
        (Mode::Apply, ShiftWish::In) => (hooks::undrain(shared, hooks).await, &hooks.undrain),
        (Mode::Apply, ShiftWish::Out(limit)) => (out_by_hand(shared, hooks, *limit).await, &hooks.drain),
    };
    match done {
        Ok(()) => Outcome::Changed(hooks::calls(told)),
        Err(why) => Outcome::Failed(Failure::new(why).hint(BY_HAND)),
    }
}

/// What is done when a hook fails.
const BY_HAND: &str =
    "see to the load balancer; `apim-deploy undrain` calls the hooks again that put the node back";

async fn out_by_hand(shared: &Shared, hooks: &Hooks, limit: u64) -> Result<(), String> {
    hooks::mark(shared, hooks).await?;
    if let Err(why) = hooks::drain(shared, hooks).await {
        let back = hooks::undrain(shared, hooks).await;
        return Err(match back {
            Ok(()) => why,
            Err(worse) => format!("{why}; it could not be put back: {worse}"),
        });
    }
    if let Err(why) = hooks::drained(shared, hooks, Duration::from_secs(limit)).await {
        note(shared, Level::Warning, format!("{} may still serve somebody: {why}", hooks.node));
    }
    Ok(())
}

/// Notes that `node` is down, and is to be put back when it is healthy, wherever a former run took it out.
pub(super) fn expect_back(shared: &Shared, node: &NodeName) {
    if shared.plan.rotations.contains_key(node) {
        shared.rotating.state().out.insert(node.clone(), Out::Down);
    }
}

/// Puts `node` back where it was taken out, and not taken down after all; says whether that was so. One whose host was `lost` meanwhile
/// stays out: nobody knows how it is.
pub(super) async fn reconsider(shared: &Shared, node: &NodeName, lost: bool) -> bool {
    let is_leaving = shared.rotating.is_leaving(node);
    if is_leaving && lost {
        let text = format!("{node} stays out of rotation: its host was lost; the next apply puts it back");
        note(shared, Level::Warning, text);
        return false;
    }
    if is_leaving && let Err(why) = put_back(shared, node).await {
        note(shared, Level::Warning, why);
    }
    is_leaving
}

/// Tells every balancer; returns the names of those that know the node.
async fn turn(
    shared: &Shared,
    rotation: &Rotation,
    node: &NodeName,
    way: Way,
) -> Result<Vec<String>, String> {
    let _turn = shared.rotating.turn.lock().await;
    let mut told = Vec::new();
    for balancer in &rotation.balancers {
        if tell(shared, balancer, node, way).await? {
            told.push(balancer.host.0.clone());
        }
    }
    Ok(told)
}

/// Tells one balancer; says whether it knows the node.
async fn tell(shared: &Shared, balancer: &Balancer, node: &NodeName, way: Way) -> Result<bool, String> {
    let mut beside = Beside::open(shared, &balancer.host, true).await?;
    let told = tell_over(&mut beside, balancer, node, way).await;
    beside.close().await;
    told.map_err(|why| format!("load balancer {}: {why}", balancer.host))
}

async fn tell_over(
    beside: &mut Beside<'_>,
    balancer: &Balancer,
    node: &NodeName,
    way: Way,
) -> Result<bool, String> {
    let known = look("the node's files", vec![Condition::Exists(balancer.known_by.clone())]);
    if !matches!(beside.run("known", &known, Mode::Check).await?, Outcome::Ok) {
        return Ok(false);
    }
    let (title, operation) = match way {
        Way::Out => (format!("{node}: taken out of rotation"), &balancer.drain),
        Way::In => (format!("{node}: put back into rotation"), &balancer.undrain),
    };
    match beside.run(&title, operation, Mode::Apply).await? {
        Outcome::Failed(failure) => {
            let causes: String = failure.causes.iter().map(|cause| format!("; {cause}")).collect();
            Err(format!("{}{causes}", failure.what))
        }
        _ => Ok(true),
    }
}

/// Waits until the node has no connections of the balancers any more.
async fn become_quiet(shared: &Shared, rotation: &Rotation, node: &NodeName) {
    let begun = Instant::now();
    let limit = Duration::from_secs(rotation.limit_secs);
    if let Some(hooks) = rotation.hooks.as_ref().filter(|hooks| !hooks.drained.is_empty()) {
        match hooks::drained(shared, hooks, limit).await {
            Err(why) => return still_serves(shared, node, &why),
            Ok(()) if rotation.balancers.is_empty() => return,
            Ok(()) => {}
        }
    }
    let why = match Beside::open(shared, &rotation.host, false).await {
        Err(why) => why,
        Ok(mut beside) => {
            let wait = look("quiet", vec![rotation.quiet.clone()]);
            let mut quiet_since = None;
            let why = loop {
                if shared.is_interrupted() {
                    beside.close().await;
                    return;
                }
                match beside.run("quiet", &wait, Mode::Check).await {
                    Ok(Outcome::Ok) => {
                        let since = *quiet_since.get_or_insert_with(Instant::now);
                        if since.elapsed() >= SETTLE {
                            beside.close().await;
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
                    Ok(_) => break "its connections cannot be counted".to_owned(),
                    Err(why) => break why,
                }
                sleep(PAUSE).await;
            };
            beside.close().await;
            why
        }
    };
    still_serves(shared, node, &why);
}

fn still_serves(shared: &Shared, node: &NodeName, why: &str) {
    note(shared, Level::Warning, format!("{node} is taken down although it may still serve somebody: {why}"));
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
