//! The nodes of a role are looked at beside the run: those that the plan leaves alone before anything is done, and all of them again
//! before a healthy one is taken down. What the survey found may be minutes old by then.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use apim_protocol::operation::wait::Condition;
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Outcome;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::beside::Beside;
use super::budget::Standing;
use super::event::{Event, Level};
use super::wire::Wire;
use super::worker::{Manner, Shared, Unreached, open_once};
use super::{hooks, rotation};
use crate::inventory::host::HostName;
use crate::plan::model::{NodeName, Peer};

/// How long a peer's host may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a peer that seems to be down is looked at before it counts as that.
const LOOKS: usize = 3;
/// How long another run on the same role is waited for; it may wait for this one.
const SOON: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Conversations with peers' hosts, kept from one look to the next: one login for a host and run.
#[derive(Default)]
pub(super) struct Watching(Mutex<HashMap<HostName, Vec<Wire>>>);

impl Watching {
    fn take(&self, host: &HostName) -> Option<Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(host)?.pop()
    }

    fn keep(&self, host: &HostName, wire: Wire) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(host.clone()).or_default().push(wire);
    }

    fn take_all(&self) -> HashMap<HostName, Vec<Wire>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Holds the hosts of the nodes that the plan leaves alone: another run that would take one of them down meanwhile is refused there. An
/// error says which run holds one already.
pub(super) async fn hold(shared: &Shared) -> Result<(), String> {
    let hosts: BTreeSet<&HostName> = bystanders(shared).map(|peer| &peer.host).collect();
    let holds = hosts.into_iter().map(|host| hold_one(shared, host));
    let held: Vec<String> = join_all(holds).await.into_iter().flatten().collect();
    if held.is_empty() { Ok(()) } else { Err(format!("{}; nothing was changed anywhere", held.join("; "))) }
}

/// Returns who holds the host, where somebody does.
async fn hold_one(shared: &Shared, host: &HostName) -> Option<String> {
    let begun = Instant::now();
    loop {
        // A role is one thing: two runs on different nodes of it count on each other's.
        match open_once(shared, host, Manner { lock: true, again: false, shares_lock: true }).await {
            Ok(wire) => shared.watching.keep(host, wire),
            Err(Unreached::Held(who)) if begun.elapsed() >= shared.settings.patience.lock.min(SOON) => {
                return Some(format!("{host} has a node of the same role, and {who}"));
            }
            Err(Unreached::Held(_)) => {
                sleep(PAUSE).await;
                continue;
            }
            // Whoever does not answer is found to be down.
            Err(Unreached::Gone(..) | Unreached::Interrupted) => {}
        }
        return None;
    }
}

fn bystanders(shared: &Shared) -> impl Iterator<Item = &Peer> {
    shared.plan.peers.iter().filter(|peer| !peer.is_worked_on)
}

/// Nodes that the plan leaves alone count against the budget when they are down, or are sent nobody.
pub(super) async fn look_at_bystanders(shared: &Shared) {
    let looks = bystanders(shared).map(|peer| async move {
        if let Err(why) = glance(shared, peer).await {
            shared.budget.found_down(&peer.node, &peer.pool, &why);
        }
    });
    join_all(looks).await;
}

/// Returns why the nodes of the plan may not leave the rotation: of some role nobody who serves would be left.
pub(super) fn nobody_is_left(shared: &Shared) -> Option<String> {
    let is_wanted = !shared.plan.drains || shared.settings.limits.outage;
    let pools: BTreeSet<&str> = match is_wanted {
        true => BTreeSet::new(),
        false => bystanders(shared).map(|peer| peer.pool.as_str()).collect(),
    };
    let serves = |peer: &&Peer| !shared.budget.is_down(&peer.node);
    let empty = pools
        .into_iter()
        .find(|pool| !bystanders(shared).filter(|peer| peer.pool == *pool).any(|peer| serves(&peer)))?;
    Some(format!(
        "nobody of {empty} who serves would be left: {}; --allow-outage does it all the same",
        shared.budget.holders(empty)
    ))
}

/// Looks at those of `pool` that are up as far as is known, before `node` is taken down: one that is down by now counts.
pub(super) async fn look_again(shared: &Shared, node: &NodeName, pool: &str) {
    let others = shared.plan.peers.iter().filter(|peer| peer.pool == pool && peer.node != *node);
    join_all(others.map(|peer| examine(shared, peer))).await;
}

/// Looks at `node` itself, which is up as far as is known.
pub(super) async fn look_at(shared: &Shared, node: &NodeName) {
    if let Some(own) = shared.plan.peers.iter().find(|peer| peer.node == *node) {
        examine(shared, &Peer { balancers: Vec::new(), ..own.clone() }).await;
    }
}

async fn examine(shared: &Shared, peer: &Peer) {
    let was = shared.budget.standing(&peer.node);
    let mut why = String::new();
    for look in 0..LOOKS {
        if look > 0 {
            sleep(PAUSE).await;
        }
        // Whom the run takes down meanwhile it knows of.
        if shared.budget.is_down(&peer.node) || shared.is_interrupted() {
            return;
        }
        match glance(shared, peer).await {
            Ok(()) => return,
            Err(found) => why = found,
        }
    }
    if shared.budget.fell(&peer.node, &peer.pool, (&why, &was)) {
        let since = if was == Standing::Renewed { "it was started anew" } else { "the run began" };
        let note = format!("{} was healthy when {since}, and counts as down now: {why}", peer.node);
        shared.tell(Event::Note(Level::Warning, note));
    }
}

/// Looks at a peer once; an error says why it counts as down.
async fn glance(shared: &Shared, peer: &Peer) -> Result<(), String> {
    let looks: Vec<&Operation> = std::iter::once(&peer.healthy).chain(&peer.returned).collect();
    match ask(shared, &peer.host, &looks).await.as_deref() {
        Err(_) => return Err("its host is unreachable".to_owned()),
        Ok([Outcome::Ok | Outcome::Observed(_)] | [Outcome::Ok | Outcome::Observed(_), Outcome::Ok]) => {}
        Ok([Outcome::Ok | Outcome::Observed(_), ..]) => return Err(hooks::LEFT_OUT.to_owned()),
        Ok(_) => return Err("not healthy".to_owned()),
    }
    for balancer in &peer.balancers {
        let known = rotation::look("the node's files", vec![Condition::Exists(balancer.known_by.clone())]);
        // A load balancer that does not answer is told of when a node is to be taken out of it.
        let Ok(answers) = ask(shared, &balancer.host, &[&known, &balancer.drain]).await else { continue };
        if let [Outcome::Ok, Outcome::Ok] = answers.as_slice() {
            let host = &balancer.host;
            return Err(format!("{host} sends it nobody, until `apim-deploy undrain` or apply puts it back"));
        }
    }
    Ok(())
}

/// Looks at a host over a conversation that was kept, or a new one; an error says that there was no answer.
async fn ask(shared: &Shared, host: &HostName, looks: &[&Operation]) -> Result<Vec<Outcome>, String> {
    if let Some(wire) = shared.watching.take(host)
        && let Ok(found) = ask_over(Beside::resume(shared, host, wire), shared, looks).await
    {
        return Ok(found);
    }
    // One that was kept may have broken off since.
    match timeout(PATIENCE, Beside::open(shared, host, false)).await {
        Ok(opened) => ask_over(opened?, shared, looks).await,
        Err(_) => Err(format!("no connection within {} s", PATIENCE.as_secs())),
    }
}

async fn ask_over(
    mut beside: Beside<'_>,
    shared: &Shared,
    looks: &[&Operation],
) -> Result<Vec<Outcome>, String> {
    let answers = async {
        let mut answers = Vec::new();
        for look in looks {
            answers.push(beside.run("a look", look, Mode::Check).await?);
        }
        Ok::<_, String>(answers)
    };
    let Ok(answers) = timeout(PATIENCE, answers).await else {
        return Err(format!("no answer within {} s", PATIENCE.as_secs()));
    };
    let answers = answers?;
    let (host, wire) = beside.keep();
    shared.watching.keep(host, wire);
    Ok(answers)
}

/// Ends all conversations.
pub(super) async fn leave(shared: &Shared) {
    let all = shared.watching.take_all();
    join_all(all.into_iter().map(|(host, wires)| async move {
        for wire in wires {
            Beside::resume(shared, &host, wire).close().await;
        }
    }))
    .await;
}
