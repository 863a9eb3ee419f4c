//! Checks the other nodes of a role in side sessions: nodes outside the plan before the first
//! change, and all nodes again before a healthy one is taken down, because the survey may be
//! minutes old by then.

use std::collections::BTreeSet;
use std::time::Duration;

use apim_protocol::operation::wait::Condition;
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Outcome;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::budget::Standing;
use super::event::{Event, Level};
use super::link::{Manner, Unreached, open_once};
use super::shared::Shared;
use super::side_session::SideSession;
use super::{hooks, traffic};
use crate::plan::model::Peer;
use apim_product::NodeName;
use apim_transport::host::HostName;

/// How long a peer's host may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Number of failed checks before a peer counts as down.
const CHECKS: usize = 3;
/// How long to wait for another run on the same role, which may be waiting for this one.
const SOON: Duration = Duration::from_secs(5);
/// Pause between two checks.
const PAUSE: Duration = Duration::from_secs(1);

/// Locks the hosts of the unmanaged peers, so that no other run can take one of them down. An error
/// describes the run that has locked one already.
pub(super) async fn lock_unmanaged_hosts(shared: &Shared) -> Result<(), String> {
    let hosts: BTreeSet<&HostName> = unmanaged_peers(shared).map(|peer| &peer.host).collect();
    let holds = hosts.into_iter().map(|host| lock_host(shared, host));
    let held: Vec<String> = join_all(holds).await.into_iter().flatten().collect();
    if held.is_empty() { Ok(()) } else { Err(format!("{}; nothing was changed", held.join("; "))) }
}

/// Returns the other run that has locked the host, if any.
async fn lock_host(shared: &Shared, host: &HostName) -> Option<String> {
    let begun = Instant::now();
    loop {
        // Two runs on different nodes of one role rely on each other's nodes.
        match open_once(shared, host, Manner { lock: true, again: false, shares_lock: true }).await {
            Ok(wire) => shared.kept_sessions.keep(host, wire),
            Err(Unreached::Held(holder)) if begun.elapsed() >= shared.settings.timeouts.lock.min(SOON) => {
                return Some(format!("{host} has a node of the same role: {holder}"));
            }
            Err(Unreached::Held(_)) => {
                sleep(PAUSE).await;
                continue;
            }
            // An unreachable host is found to be down later.
            Err(Unreached::Gone(..) | Unreached::Interrupted) => {}
        }
        return None;
    }
}

fn unmanaged_peers(shared: &Shared) -> impl Iterator<Item = &Peer> {
    shared.plan.peers.iter().filter(|peer| !peer.is_worked_on)
}

/// Counts unmanaged peers that are down or drained against the budget.
pub(super) async fn check_unmanaged_peers(shared: &Shared) {
    let checks = unmanaged_peers(shared).map(|peer| async move {
        if let Err(why) = probe_once(shared, peer).await {
            shared.budget.mark_down(&peer.node, &peer.pool, &why);
        }
    });
    join_all(checks).await;
}

/// Returns why the nodes of the plan may not be drained: a role would have no node in service.
pub(super) fn ensure_capacity(shared: &Shared) -> Option<String> {
    let is_wanted = !shared.plan.drains || shared.settings.limits.outage;
    let pools: BTreeSet<&str> = match is_wanted {
        true => BTreeSet::new(),
        false => unmanaged_peers(shared).map(|peer| peer.pool.as_str()).collect(),
    };
    let serves = |peer: &&Peer| !shared.budget.is_down(&peer.node);
    let empty = pools
        .into_iter()
        .find(|pool| !unmanaged_peers(shared).filter(|peer| peer.pool == *pool).any(|peer| serves(&peer)))?;
    Some(format!(
        "this would leave no {empty} in service: {}; --allow-outage overrides this",
        shared.budget.holders(empty)
    ))
}

/// Checks the nodes of `pool` that are not known to be down, before `node` is taken down.
pub(super) async fn check_peers(shared: &Shared, node: &NodeName, pool: &str) {
    let others = shared.plan.peers.iter().filter(|peer| peer.pool == pool && peer.node != *node);
    join_all(others.map(|peer| check_standing(shared, peer))).await;
}

/// Checks `node` itself, which is not known to be down.
pub(super) async fn check_node(shared: &Shared, node: &NodeName) {
    if let Some(own) = shared.plan.peers.iter().find(|peer| peer.node == *node) {
        check_standing(shared, &Peer { balancers: Vec::new(), ..own.clone() }).await;
    }
}

async fn check_standing(shared: &Shared, peer: &Peer) {
    let was = shared.budget.standing(&peer.node);
    let mut why = String::new();
    for check in 0..CHECKS {
        if check > 0 {
            sleep(PAUSE).await;
        }
        // The run already knows about nodes that it takes down itself.
        if shared.budget.is_down(&peer.node) || shared.is_interrupted() {
            return;
        }
        match probe_once(shared, peer).await {
            Ok(()) => return,
            Err(found) => why = found,
        }
    }
    if shared.budget.mark_regressed(&peer.node, &peer.pool, (&why, &was)) {
        let since = if was == Standing::Renewed { "it was restarted" } else { "the run began" };
        let note = format!("{} was healthy when {since}, and now counts as down: {why}", peer.node);
        shared.tell(Event::Note(Level::Warning, note));
    }
}

/// Checks a peer once. An error is the reason why it counts as down.
async fn probe_once(shared: &Shared, peer: &Peer) -> Result<(), String> {
    let checks: Vec<&Operation> = std::iter::once(&peer.healthy).chain(&peer.returned).collect();
    match ask(shared, &peer.host, &checks).await.as_deref() {
        Err(_) => return Err("its host is unreachable".to_owned()),
        Ok([Outcome::Ok | Outcome::Observed(_)] | [Outcome::Ok | Outcome::Observed(_), Outcome::Ok]) => {}
        Ok([Outcome::Ok | Outcome::Observed(_), ..]) => return Err(hooks::LEFT_OUT.to_owned()),
        Ok(_) => return Err("not healthy".to_owned()),
    }
    for balancer in &peer.balancers {
        let known = traffic::look("the node's files", vec![Condition::Exists(balancer.known_by.clone())]);
        // A load balancer that does not answer is reported when a node is drained there.
        let Ok(answers) = ask(shared, &balancer.host, &[&known, &balancer.drain]).await else { continue };
        if let [Outcome::Ok, Outcome::Ok] = answers.as_slice() {
            let host = &balancer.host;
            return Err(format!("drained on {host}; `apim-deploy undrain` or apply undrains it"));
        }
    }
    Ok(())
}

/// Runs checks on a host over a kept session, or a new one. An error says that there was no answer.
async fn ask(shared: &Shared, host: &HostName, checks: &[&Operation]) -> Result<Vec<Outcome>, String> {
    if let Some(wire) = shared.kept_sessions.take(host)
        && let Ok(found) = ask_over(SideSession::resume(shared, host, wire), shared, checks).await
    {
        return Ok(found);
    }
    // A kept session may have broken off.
    match timeout(PATIENCE, SideSession::open(shared, host, false)).await {
        Ok(opened) => ask_over(opened?, shared, checks).await,
        Err(_) => Err(format!("no connection within {} s", PATIENCE.as_secs())),
    }
}

async fn ask_over(
    mut side: SideSession<'_>,
    shared: &Shared,
    checks: &[&Operation],
) -> Result<Vec<Outcome>, String> {
    let answers = async {
        let mut answers = Vec::new();
        for check in checks {
            answers.push(side.run("check", check, Mode::Check).await?);
        }
        Ok::<_, String>(answers)
    };
    let Ok(answers) = timeout(PATIENCE, answers).await else {
        return Err(format!("no answer within {} s", PATIENCE.as_secs()));
    };
    let answers = answers?;
    let (host, wire) = side.keep();
    shared.kept_sessions.keep(host, wire);
    Ok(answers)
}

/// Closes all sessions.
pub(super) async fn close_sessions(shared: &Shared) {
    let all = shared.kept_sessions.take_all();
    join_all(all.into_iter().map(|(host, wires)| async move {
        for wire in wires {
            SideSession::resume(shared, &host, wire).close().await;
        }
    }))
    .await;
}
