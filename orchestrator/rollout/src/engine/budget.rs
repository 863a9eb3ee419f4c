//! The disruption budget: which nodes are down, which nodes get a permit to go down, and which
//! requests wait.
//!
//! A pure ledger: every call returns the decisions that follow from it. `leave` does the waiting.
//!
//! A pool (a role) has a number of permits (`limits`). A node holds a permit while it is down,
//! either because one was granted to take it down, or because it was found down. It returns the
//! permit when its health check passes, or when it was not taken down after all, and in no other
//! way. The first node of a pool is the *canary*: the others follow after its health check has
//! passed. A node that does not recover halts the rollout: no more permits are granted. No request
//! waits forever: if no running lane can return a permit, the latest request is refused.

use std::collections::{BTreeMap, BTreeSet};

use apim_product::NodeName;
use apim_transport::host::HostName;

mod limits;
mod settle;
#[cfg(test)]
mod tests;

pub use limits::Limits;

/// Identifies a permit request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// The decision on a permit request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Granted,
    Refused(String),
}

#[derive(Debug)]
struct Place {
    pool: String,
    why: String,
    /// Whether the permit was granted in this run. Otherwise the node was found down.
    granted: bool,
}

#[derive(Debug)]
struct Question {
    ticket: Ticket,
    host: HostName,
    node: NodeName,
    pool: String,
}

/// Nodes that are down, pending requests and outstanding health checks.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    limits: Limits,
    places: BTreeMap<NodeName, Place>,
    /// Outstanding health checks, by node and by the host whose lane runs them.
    pending_proofs: BTreeMap<NodeName, BTreeMap<HostName, usize>>,
    questions: Vec<Question>,
    /// Nodes that were down and whose health check has passed since.
    renewed: BTreeSet<NodeName>,
    /// Nodes of `renewed` that were found down afterwards.
    regressed: BTreeSet<NodeName>,
    /// Nodes that are being rescued after a failure.
    rescued: BTreeSet<NodeName>,
    /// Pools with a rescued node that is healthy again.
    returned: BTreeSet<String>,
    /// Pools whose canary has passed.
    canary_passed: BTreeSet<String>,
    /// Whether the rollout continues after a node that does not recover.
    tolerant: bool,
    cancelled: bool,
    /// Why no more permits are granted.
    halted: Option<String>,
    next: u64,
}

/// The state of a node as far as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was down in this run, and its health check has passed since.
    Renewed,
    /// It was not taken down.
    Untouched,
    /// It was down when it was last checked: the reason.
    Down(String),
}

impl Ledger {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Records that `node` is down without a permit. Returns whether that was unknown.
    pub(crate) fn mark_down(&mut self, node: &NodeName, pool: &str, why: &str) -> bool {
        let is_news = !self.is_down(node);
        if is_news {
            let place = Place { pool: pool.to_owned(), why: why.to_owned(), granted: false };
            self.places.insert(node.clone(), place);
        }
        is_news
    }

    /// Records that `node` is down although this run did not take it down. Returns `None` if its
    /// standing is no longer the given one. A node that was renewed in this run has regressed,
    /// which halts the rollout.
    pub(crate) fn mark_regressed(
        &mut self,
        node: &NodeName,
        pool: &str,
        (why, was): (&str, &Standing),
    ) -> Option<Vec<(Ticket, Decision)>> {
        if self.standing(node) != *was || matches!(was, Standing::Down(_)) {
            return None;
        }
        self.mark_down(node, pool, why);
        if *was == Standing::Renewed {
            self.regressed.insert(node.clone());
            self.halt_rollout(format!("{node} became unhealthy after it was started"));
        }
        Some(self.settle())
    }

    /// Returns whether `node` was renewed in this run and became unhealthy afterwards.
    pub(crate) fn has_regressed(&self, node: &NodeName) -> bool {
        self.regressed.contains(node)
    }

    /// Starts the rescue of nodes after a failed step. They get permits from the budget although
    /// the rollout is halted.
    pub(crate) fn rescue_begins(&mut self, host: &HostName, nodes: &[NodeName]) {
        self.rescued.extend(nodes.iter().cloned());
        self.lane_announced(host, nodes.iter().cloned());
    }

    fn is_rescued(&self, node: &NodeName) -> bool {
        self.rescued.contains(node) && !self.cancelled
    }

    /// Confirms the permit of `node`, which is still up. If the rollout has halted since, or too
    /// many nodes of its pool turned out to be down, the permit is revoked and requested again.
    pub(crate) fn confirm(
        &mut self,
        host: &HostName,
        node: &NodeName,
    ) -> Option<(Ticket, Vec<(Ticket, Decision)>)> {
        let place = self.places.get(node).filter(|place| place.granted)?;
        let pool = place.pool.clone();
        let is_too_many = !self.limits.outage && self.held(&pool).count() > self.limits.of(&pool);
        if (self.halted.is_none() || self.is_rescued(node)) && !is_too_many {
            return None;
        }
        self.places.remove(node);
        Some(self.ask(host, node, &pool))
    }

    /// Returns whether `node` is down.
    pub(crate) fn is_down(&self, node: &NodeName) -> bool {
        self.places.contains_key(node)
    }

    /// Returns whether at least one node of `pool` is not known to be down.
    pub(crate) fn has_healthy(&self, pool: &str) -> bool {
        self.limits.sizes.get(pool).is_none_or(|size| self.held(pool).count() < *size)
    }

    /// Returns the state of `node`.
    pub(crate) fn standing(&self, node: &NodeName) -> Standing {
        match self.places.get(node) {
            Some(place) => Standing::Down(place.why.clone()),
            None if self.renewed.contains(node) => Standing::Renewed,
            None => Standing::Untouched,
        }
    }

    /// Starts a stage. In a `tolerant` stage the rollout continues after a node that does not
    /// recover.
    pub(crate) const fn stage_begins(&mut self, tolerant: bool) {
        self.tolerant = tolerant;
    }

    /// Announces a lane of the starting stage. `proofs` contains a node once for each of its health
    /// checks.
    pub(crate) fn lane_announced(&mut self, host: &HostName, proofs: impl IntoIterator<Item = NodeName>) {
        for node in proofs {
            *self.pending_proofs.entry(node).or_default().entry(host.clone()).or_default() += 1;
        }
    }

    /// Requests a permit to take `node` down. The decision comes with this call or with a later
    /// one.
    pub(crate) fn ask(
        &mut self,
        host: &HostName,
        node: &NodeName,
        pool: &str,
    ) -> (Ticket, Vec<(Ticket, Decision)>) {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.questions.push(Question {
            ticket,
            host: host.clone(),
            node: node.clone(),
            pool: pool.to_owned(),
        });
        (ticket, self.settle())
    }

    /// Records the end of a health check of `node` in the lane of `host`.
    pub(crate) fn proof_over(
        &mut self,
        host: &HostName,
        node: &NodeName,
        healthy: bool,
    ) -> Vec<(Ticket, Decision)> {
        if healthy {
            if let Some(place) = self.places.remove(node) {
                self.renewed.insert(node.clone());
                if self.rescued.contains(node) {
                    self.returned.insert(place.pool.clone());
                }
                if place.granted {
                    self.canary_passed.insert(place.pool);
                }
            }
        } else {
            self.mark_failed(node);
        }
        if let Some(lanes) = self.pending_proofs.get_mut(node) {
            if let Some(count) = lanes.get_mut(host) {
                *count -= 1;
                if *count == 0 {
                    lanes.remove(host);
                }
            }
            if lanes.is_empty() {
                self.pending_proofs.remove(node);
            }
        }
        self.settle()
    }

    /// Records the end of the lane of `host`: its outstanding health checks and its requests are
    /// void.
    pub(crate) fn lane_over(&mut self, host: &HostName) -> Vec<(Ticket, Decision)> {
        self.questions.retain(|question| question.host != *host);
        let mut unproved = Vec::new();
        self.pending_proofs.retain(|node, lanes| {
            if lanes.remove(host).is_some() {
                unproved.push(node.clone());
            }
            !lanes.is_empty()
        });
        for node in unproved {
            if self.places.get(&node).is_some_and(|place| place.granted) {
                self.mark_failed(&node);
            }
        }
        self.settle()
    }

    /// Returns the permit of `node`, which was not taken down after all, and halts the rollout for
    /// the given reason.
    pub(crate) fn not_taken(&mut self, node: &NodeName, why: &str) -> Vec<(Ticket, Decision)> {
        if self.places.get(node).is_some_and(|place| place.granted) {
            self.places.remove(node);
            self.halt_rollout(format!("{node} was not taken down: {why}"));
        }
        self.settle()
    }

    /// Records that `node` did not recover, before its health check has ended. Halts the rollout.
    pub(crate) fn did_not_come_back(&mut self, node: &NodeName) -> Vec<(Ticket, Decision)> {
        self.mark_failed(node);
        self.settle()
    }

    /// Voids the requests of `host` after its link was lost. The host requests again after a
    /// reconnect.
    pub(crate) fn withdraw(&mut self, host: &HostName) -> Vec<(Ticket, Decision)> {
        self.questions.retain(|question| question.host != *host);
        self.settle()
    }

    /// Interrupts the run: all pending and later requests are refused.
    pub(crate) fn cancel(&mut self) -> Vec<(Ticket, Decision)> {
        self.cancelled = true;
        self.halted = Some("interrupted".to_owned());
        self.settle()
    }

    /// Halts the rollout for an external reason. No healthy node is taken down any more, not even
    /// in tolerant stages.
    pub(crate) fn halt(&mut self, why: &str) -> Vec<(Ticket, Decision)> {
        self.halted.get_or_insert_with(|| why.to_owned());
        self.settle()
    }

    /// Describes the nodes that hold the permits of `pool`.
    pub(crate) fn holders(&self, pool: &str) -> String {
        let held = self.held(pool).map(|(node, place)| format!("{} ({})", node.0, place.why));
        held.collect::<Vec<_>>().join(", ")
    }

    /// Returns how many lanes wait for a permit.
    pub(crate) fn blocked(&self) -> usize {
        self.questions.iter().map(|question| &question.host).collect::<BTreeSet<_>>().len()
    }

    fn held<'a>(&'a self, pool: &'a str) -> impl Iterator<Item = (&'a NodeName, &'a Place)> {
        self.places.iter().filter(move |(_, place)| place.pool == pool)
    }

    /// Records that a node did not recover.
    fn mark_failed(&mut self, node: &NodeName) {
        if self.cancelled {
            return;
        }
        if let Some(place) = self.places.get_mut(node) {
            "did not become healthy".clone_into(&mut place.why);
        }
        self.halt_rollout(format!("{node} did not become healthy"));
    }

    fn halt_rollout(&mut self, why: String) {
        if !self.tolerant {
            self.halted.get_or_insert(why);
        }
    }
}
