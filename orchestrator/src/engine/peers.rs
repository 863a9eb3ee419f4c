//! The nodes of a role are looked at beside the run: those that the plan leaves alone before anything is done, and all of them again
//! before a healthy one is taken down. What the survey found may be minutes old by then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use apim_agent::operation::Mode;
use apim_agent::outcome::Outcome;
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::beside::Beside;
use super::budget::Standing;
use super::event::{Event, Level};
use super::hooks;
use super::wire::Wire;
use super::worker::Shared;
use crate::inventory::host::HostName;
use crate::plan::model::{NodeName, Peer};

/// How long a peer's host may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a peer that seems to be down is looked at before it counts as that.
const LOOKS: usize = 3;
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

/// Nodes that the plan leaves alone count against the budget when they are down.
pub(super) async fn look_at_bystanders(shared: &Shared) {
    let looks = shared.plan.peers.iter().filter(|peer| !peer.is_worked_on);
    let looks = looks.map(|peer| async move {
        if let Err(why) = glance(shared, peer).await {
            shared.budget.found_down(&peer.node, &peer.pool, why);
        }
    });
    join_all(looks).await;
}

/// Looks at those of `pool` that are up as far as is known, before `node` is taken down: one that is down by now counts.
pub(super) async fn look_again(shared: &Shared, node: &NodeName, pool: &str) {
    let others = shared.plan.peers.iter().filter(|peer| peer.pool == pool && peer.node != *node);
    join_all(others.map(|peer| examine(shared, peer))).await;
}

/// Looks at `node` itself, which is up as far as is known.
pub(super) async fn look_at(shared: &Shared, node: &NodeName) {
    if let Some(own) = shared.plan.peers.iter().find(|peer| peer.node == *node) {
        examine(shared, own).await;
    }
}

async fn examine(shared: &Shared, peer: &Peer) {
    let was = shared.budget.standing(&peer.node);
    let mut why = "";
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
    if shared.budget.fell(&peer.node, &peer.pool, (why, &was)) {
        let since = if was == Standing::Renewed { "it was started anew" } else { "the run began" };
        let note = format!("{} was healthy when {since}, and is down now: {why}", peer.node);
        shared.tell(Event::Note(Level::Warning, note));
    }
}

/// Looks at a peer once; an error says why it counts as down.
async fn glance(shared: &Shared, peer: &Peer) -> Result<(), &'static str> {
    if let Some(wire) = shared.watching.take(&peer.host)
        && let Ok(found) = ask(shared, peer, Some(wire)).await
    {
        return found;
    }
    // One that was kept may have broken off since.
    ask(shared, peer, None).await.unwrap_or(Err("its host is unreachable"))
}

/// Asks over a conversation that was kept, or a new one; the outer error says that there was no answer.
async fn ask(shared: &Shared, peer: &Peer, kept: Option<Wire>) -> Result<Result<(), &'static str>, String> {
    let mut beside = match kept {
        Some(wire) => Beside::resume(shared, &peer.host, wire),
        None => match timeout(PATIENCE, Beside::open(shared, &peer.host, false)).await {
            Ok(opened) => opened?,
            Err(_) => return Err(format!("{}: no connection within {} s", peer.host, PATIENCE.as_secs())),
        },
    };
    let looks = async {
        let healthy = beside.run("healthy", &peer.healthy, Mode::Check).await?;
        let returned = match &peer.returned {
            Some(returned) => beside.run("in rotation", returned, Mode::Check).await?,
            None => Outcome::Ok,
        };
        Ok::<_, String>((healthy, returned))
    };
    let Ok(outcomes) = timeout(PATIENCE, looks).await else {
        return Err(format!("{}: no answer within {} s", peer.host, PATIENCE.as_secs()));
    };
    let outcomes = outcomes?;
    shared.watching.keep(&peer.host, beside.keep());
    Ok(match outcomes {
        (Outcome::Ok | Outcome::Observed(_), Outcome::Ok) => Ok(()),
        (Outcome::Ok | Outcome::Observed(_), _) => Err(hooks::LEFT_OUT),
        _ => Err("not healthy"),
    })
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
