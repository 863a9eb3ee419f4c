//! Waits for disruption permits: shares the ledger of `budget` among the lanes of a run.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use super::budget::{Decision, Ledger, Limits, Standing, Ticket};
use apim_product::NodeName;
use apim_transport::host::HostName;

/// The answer to a permit request.
pub(crate) enum PermitDecision {
    /// Granted, or refused with the reason.
    Now(Result<(), String>),
    /// Pending. The text lists the nodes that hold the permits.
    Later(oneshot::Receiver<Result<(), String>>, String),
}

/// The budget of a run.
pub(crate) struct Budget {
    state: Mutex<State>,
    blocked: watch::Sender<usize>,
}

struct State {
    ledger: Ledger,
    waiting: HashMap<Ticket, oneshot::Sender<Result<(), String>>>,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        let state = State { ledger: Ledger::new(limits), waiting: HashMap::new() };
        Self { state: Mutex::new(state), blocked: watch::Sender::new(0) }
    }

    /// Returns a watch on the number of lanes that wait for a permit.
    pub(crate) fn blocked(&self) -> watch::Receiver<usize> {
        self.blocked.subscribe()
    }

    /// Records that `node` is down. Returns whether that was unknown.
    pub(crate) fn mark_down(&self, node: &NodeName, pool: &str, why: &str) -> bool {
        let mut state = self.lock();
        let is_news = state.ledger.mark_down(node, pool, why);
        let decisions = state.ledger.settle();
        self.deliver(&mut state, decisions);
        is_news
    }

    /// Records that `node` is down if its standing is still the given one. Returns whether it was
    /// recorded.
    pub(crate) fn mark_regressed(&self, node: &NodeName, pool: &str, found: (&str, &Standing)) -> bool {
        let mut state = self.lock();
        let Some(decisions) = state.ledger.mark_regressed(node, pool, found) else { return false };
        self.deliver(&mut state, decisions);
        true
    }

    pub(crate) fn has_regressed(&self, node: &NodeName) -> bool {
        self.lock().ledger.has_regressed(node)
    }

    pub(crate) fn rescue_begins(&self, host: &HostName, nodes: &[NodeName]) {
        self.lock().ledger.rescue_begins(host, nodes);
    }

    /// Returns a new permit request if the permit granted for `node` is no longer valid.
    pub(crate) fn confirm(&self, host: &HostName, node: &NodeName, pool: &str) -> Option<PermitDecision> {
        let mut state = self.lock();
        let asked = state.ledger.confirm(host, node)?;
        Some(self.wait(&mut state, asked, pool))
    }

    /// Describes the nodes of `pool` that are down, and why.
    pub(crate) fn holders(&self, pool: &str) -> String {
        self.lock().ledger.holders(pool)
    }

    pub(crate) fn is_down(&self, node: &NodeName) -> bool {
        self.lock().ledger.is_down(node)
    }

    pub(crate) fn has_healthy(&self, pool: &str) -> bool {
        self.lock().ledger.has_healthy(pool)
    }

    pub(crate) fn standing(&self, node: &NodeName) -> Standing {
        self.lock().ledger.standing(node)
    }

    pub(crate) fn stage_begins(&self, tolerant: bool) {
        self.lock().ledger.stage_begins(tolerant);
    }

    pub(crate) fn lane_announced(&self, host: &HostName, proofs: impl IntoIterator<Item = NodeName>) {
        self.lock().ledger.lane_announced(host, proofs);
    }

    pub(crate) fn ask(&self, host: &HostName, node: &NodeName, pool: &str) -> PermitDecision {
        let mut state = self.lock();
        let asked = state.ledger.ask(host, node, pool);
        self.wait(&mut state, asked, pool)
    }

    fn wait(
        &self,
        state: &mut State,
        (ticket, decisions): (Ticket, Vec<(Ticket, Decision)>),
        pool: &str,
    ) -> PermitDecision {
        let (sender, mut receiver) = oneshot::channel();
        state.waiting.insert(ticket, sender);
        self.deliver(state, decisions);
        match receiver.try_recv() {
            Ok(answer) => PermitDecision::Now(answer),
            Err(_) => PermitDecision::Later(receiver, state.ledger.holders(pool)),
        }
    }

    pub(crate) fn proof_over(&self, host: &HostName, node: &NodeName, healthy: bool) {
        let mut state = self.lock();
        let decisions = state.ledger.proof_over(host, node, healthy);
        self.deliver(&mut state, decisions);
    }

    pub(crate) fn lane_over(&self, host: &HostName) {
        let mut state = self.lock();
        let decisions = state.ledger.lane_over(host);
        self.deliver(&mut state, decisions);
    }

    pub(crate) fn not_taken(&self, node: &NodeName, why: &str) {
        let mut state = self.lock();
        let decisions = state.ledger.not_taken(node, why);
        self.deliver(&mut state, decisions);
    }

    pub(crate) fn did_not_come_back(&self, node: &NodeName) {
        let mut state = self.lock();
        let decisions = state.ledger.did_not_come_back(node);
        self.deliver(&mut state, decisions);
    }

    pub(crate) fn withdraw(&self, host: &HostName) {
        let mut state = self.lock();
        let decisions = state.ledger.withdraw(host);
        self.deliver(&mut state, decisions);
    }

    pub(crate) fn halt(&self, why: &str) {
        let mut state = self.lock();
        let decisions = state.ledger.halt(why);
        self.deliver(&mut state, decisions);
    }

    pub(crate) fn cancel(&self) {
        let mut state = self.lock();
        let decisions = state.ledger.cancel();
        self.deliver(&mut state, decisions);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, state: &mut State, decisions: Vec<(Ticket, Decision)>) {
        for (ticket, decision) in decisions {
            let answer = match decision {
                Decision::Granted => Ok(()),
                Decision::Refused(why) => Err(why),
            };
            // The requesting lane may have ended. Then the answer is not needed.
            if let Some(sender) = state.waiting.remove(&ticket) {
                drop(sender.send(answer));
            }
        }
        let now = state.ledger.blocked();
        self.blocked.send_if_modified(|count| std::mem::replace(count, now) != now);
    }
}
