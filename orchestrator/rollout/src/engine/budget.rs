//! The availability budget: which nodes are down, who may take another one down, and who waits for that.
//!
//! A pure ledger: every call returns the decisions that follow from it. The waiting itself is in `leave`.
//!
//! A pool (a role) has so many *places* (`limits`). A node occupies a place while it is down: because leave was granted to take
//! it down, or because it was found down. It gives the place back when it is shown to be healthy, or when it turns out that it
//! was not touched after all, and in no other way.
//! The first node of a pool goes alone, the *canary*: the others go once it was shown to be healthy. A node that does not
//! come back ends all leave: the rollout stops.
//! Nobody waits in vain: when no lane that still moves can bring a place back, the one who asked last is refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::model::NodeName;
use apim_transport::host::HostName;

mod limits;
#[cfg(test)]
mod tests;

pub use limits::Limits;

/// Names one question for leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Granted,
    Refused(String),
}

#[derive(Debug)]
struct Place {
    pool: String,
    why: String,
    /// Whether leave was granted for it in this run.
    granted: bool,
}

#[derive(Debug)]
struct Question {
    ticket: Ticket,
    host: HostName,
    node: NodeName,
    pool: String,
}

/// Who is down, who asks, and who may still be shown to be healthy.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    limits: Limits,
    places: BTreeMap<NodeName, Place>,
    /// Proofs of health still to come, by node and by the host whose lane brings them.
    hopes: BTreeMap<NodeName, BTreeMap<HostName, usize>>,
    questions: Vec<Question>,
    /// Nodes that were down, or taken down, and shown to be healthy since.
    renewed: BTreeSet<NodeName>,
    /// Those of them that were found down after that.
    fallen: BTreeSet<NodeName>,
    /// Nodes that are being brought back from a failure.
    rescued: BTreeSet<NodeName>,
    /// Pools of which one of those is healthy again.
    returned: BTreeSet<String>,
    /// Pools whose first node came back.
    tried: BTreeSet<String>,
    /// Whether a node that does not come back is no reason to stop.
    tolerant: bool,
    cancelled: bool,
    /// Why no more leave is granted.
    halted: Option<String>,
    next: u64,
}

/// How a node stands, as far as the ledger knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was down or taken down in this run, and is healthy since.
    Renewed,
    /// It was not taken down.
    Untouched,
    /// It is down, or was when it was last seen: why.
    Down(String),
}

impl Ledger {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Notes that `node` is down without leave having been asked; says whether that is news.
    pub(crate) fn found_down(&mut self, node: &NodeName, pool: &str, why: &str) -> bool {
        let is_news = !self.is_down(node);
        if is_news {
            let place = Place { pool: pool.to_owned(), why: why.to_owned(), granted: false };
            self.places.insert(node.clone(), place);
        }
        is_news
    }

    /// Notes that `node`, which stood as it `was` when somebody looked at it, is down without anybody here having taken it down; nothing
    /// where it stands otherwise by now. One that was renewed in this run and did not stay up ends all leave.
    pub(crate) fn fell(
        &mut self,
        node: &NodeName,
        pool: &str,
        (why, was): (&str, &Standing),
    ) -> Option<Vec<(Ticket, Decision)>> {
        if self.standing(node) != *was || matches!(was, Standing::Down(_)) {
            return None;
        }
        self.found_down(node, pool, why);
        if *was == Standing::Renewed {
            self.fallen.insert(node.clone());
            self.give_up(format!("{node} was healthy when it had been started anew, and did not stay so"));
        }
        Some(self.settle())
    }

    /// Says whether `node` was renewed in this run and did not stay up.
    pub(crate) fn has_fallen(&self, node: &NodeName) -> bool {
        self.fallen.contains(node)
    }

    /// The nodes of a lane that are to be rescued after the failure of a step: what was stopped is stopped, but for them leave is granted as
    /// the budget has it.
    pub(crate) fn rescue_begins(&mut self, host: &HostName, nodes: &[NodeName]) {
        self.rescued.extend(nodes.iter().cloned());
        self.lane_announced(host, nodes.iter().cloned());
    }

    fn is_rescued(&self, node: &NodeName) -> bool {
        self.rescued.contains(node) && !self.cancelled
    }

    /// Leave was granted for `node`, which is still up. Where the rollout has stopped since, or more nodes of its pool turned out to
    /// be down than may be, it is taken back, and asked for anew.
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

    /// Says whether `node` occupies a place.
    pub(crate) fn is_down(&self, node: &NodeName) -> bool {
        self.places.contains_key(node)
    }

    /// Says whether a node of `pool` serves, as far as is known.
    pub(crate) fn has_healthy(&self, pool: &str) -> bool {
        self.limits.sizes.get(pool).is_none_or(|size| self.held(pool).count() < *size)
    }

    /// Returns how `node` stands.
    pub(crate) fn standing(&self, node: &NodeName) -> Standing {
        match self.places.get(node) {
            Some(place) => Standing::Down(place.why.clone()),
            None if self.renewed.contains(node) => Standing::Renewed,
            None => Standing::Untouched,
        }
    }

    /// A stage begins; in a `tolerant` one a node that does not come back is no reason to stop.
    pub(crate) const fn stage_begins(&mut self, tolerant: bool) {
        self.tolerant = tolerant;
    }

    /// Announces a lane of the stage that begins: `proofs` names a node once for each step that can prove its health.
    pub(crate) fn lane_announced(&mut self, host: &HostName, proofs: impl IntoIterator<Item = NodeName>) {
        for node in proofs {
            *self.hopes.entry(node).or_default().entry(host.clone()).or_default() += 1;
        }
    }

    /// Asks for leave to take `node` down. The decision may come with this call or with a later one.
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

    /// One step that can prove the health of `node` is over, in the lane of `host`.
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
                    self.tried.insert(place.pool);
                }
            }
        } else {
            self.lose(node);
        }
        if let Some(lanes) = self.hopes.get_mut(node) {
            if let Some(count) = lanes.get_mut(host) {
                *count -= 1;
                if *count == 0 {
                    lanes.remove(host);
                }
            }
            if lanes.is_empty() {
                self.hopes.remove(node);
            }
        }
        self.settle()
    }

    /// The lane of `host` is over: nothing more is to be hoped for from it, and its questions are void.
    pub(crate) fn lane_over(&mut self, host: &HostName) -> Vec<(Ticket, Decision)> {
        self.questions.retain(|question| question.host != *host);
        let mut hopeless = Vec::new();
        self.hopes.retain(|node, lanes| {
            if lanes.remove(host).is_some() {
                hopeless.push(node.clone());
            }
            !lanes.is_empty()
        });
        for node in hopeless {
            if self.places.get(&node).is_some_and(|place| place.granted) {
                self.lose(&node);
            }
        }
        self.settle()
    }

    /// Leave was granted for `node`, and it was not taken down after all: its place is free, and for the reason given the rollout
    /// stops.
    pub(crate) fn not_taken(&mut self, node: &NodeName, why: &str) -> Vec<(Ticket, Decision)> {
        if self.places.get(node).is_some_and(|place| place.granted) {
            self.places.remove(node);
            self.give_up(format!("{node} was not taken down: {why}"));
        }
        self.settle()
    }

    /// `node` did not come back, as is known before its proof of health is over: the rollout stops.
    pub(crate) fn did_not_come_back(&mut self, node: &NodeName) -> Vec<(Ticket, Decision)> {
        self.lose(node);
        self.settle()
    }

    /// The questions of `host` are void: its link was lost, and it will ask again if it comes back.
    pub(crate) fn withdraw(&mut self, host: &HostName) -> Vec<(Ticket, Decision)> {
        self.questions.retain(|question| question.host != *host);
        self.settle()
    }

    /// The run is called off: everybody who waits is refused, and everybody who asks from now on.
    pub(crate) fn cancel(&mut self) -> Vec<(Ticket, Decision)> {
        self.cancelled = true;
        self.halted = Some("the run was called off".to_owned());
        self.settle()
    }

    /// The rollout stops, for a reason that is no node's: no healthy node is taken down any more, in tolerant stages neither.
    pub(crate) fn halt(&mut self, why: &str) -> Vec<(Ticket, Decision)> {
        self.halted.get_or_insert_with(|| why.to_owned());
        self.settle()
    }

    /// Says in words who occupies the places of `pool`.
    pub(crate) fn holders(&self, pool: &str) -> String {
        let held = self.held(pool).map(|(node, place)| format!("{} ({})", node.0, place.why));
        held.collect::<Vec<_>>().join(", ")
    }

    /// Returns how many lanes wait for leave.
    pub(crate) fn blocked(&self) -> usize {
        self.questions.iter().map(|question| &question.host).collect::<BTreeSet<_>>().len()
    }

    fn held<'a>(&'a self, pool: &'a str) -> impl Iterator<Item = (&'a NodeName, &'a Place)> {
        self.places.iter().filter(move |(_, place)| place.pool == pool)
    }

    /// A node did not come back.
    fn lose(&mut self, node: &NodeName) {
        if self.cancelled {
            return;
        }
        if let Some(place) = self.places.get_mut(node) {
            "it did not become healthy".clone_into(&mut place.why);
        }
        self.give_up(format!("{node} did not become healthy"));
    }

    fn give_up(&mut self, why: String) {
        if !self.tolerant {
            self.halted.get_or_insert(why);
        }
    }

    /// Decides what can be decided now.
    pub(crate) fn settle(&mut self) -> Vec<(Ticket, Decision)> {
        let mut decisions = Vec::new();
        if let Some(why) = &self.halted {
            let (asked, rescued) = std::mem::take(&mut self.questions)
                .into_iter()
                .partition(|question| !self.is_rescued(&question.node));
            self.questions = rescued;
            let asked: Vec<Question> = asked;
            for Question { ticket, node, .. } in asked {
                let decision = match self.cancelled {
                    true => Decision::Refused(why.clone()),
                    // What is down already is not made worse.
                    false if self.places.contains_key(&node) => Decision::Granted,
                    false => Decision::Refused(format!(
                        "{node} was not touched, because the rollout stopped: {why}"
                    )),
                };
                decisions.push((ticket, decision));
            }
        }
        loop {
            if let Some(at) = self.questions.iter().position(|question| self.has_room(question)) {
                let Question { ticket, node, pool, .. } = self.questions.remove(at);
                let place = Place { pool, why: "being worked on".to_owned(), granted: true };
                self.places.entry(node).or_insert(place);
                decisions.push((ticket, Decision::Granted));
            } else if let Some(at) = self.last_hopeless() {
                let question = self.questions.remove(at);
                let why = self.refusal(&question);
                decisions.push((question.ticket, Decision::Refused(why)));
            } else {
                return decisions;
            }
        }
    }

    /// The rule: who may be taken down now.
    fn has_room(&self, question: &Question) -> bool {
        let Question { node, pool, .. } = question;
        let granted = self.held(pool).filter(|(_, place)| place.granted).count();
        let down = if self.limits.outage { granted } else { self.held(pool).count() };
        let first = if self.is_rescued(node) { &self.returned } else { &self.tried };
        let may_follow = granted == 0 || first.contains(pool) || !self.limits.canary;
        self.is_down(node) || (down < self.limits.of(pool) && may_follow)
    }

    fn last_hopeless(&self) -> Option<usize> {
        let moving = self.moving();
        self.questions.iter().rposition(|question| !self.can_be_served(question, &moving))
    }

    /// Says whether a lane that moves may yet give back a place that `question` waits for.
    fn can_be_served(&self, question: &Question, moving: &BTreeSet<&HostName>) -> bool {
        self.held(&question.pool).any(|(node, _)| {
            self.hopes.get(node).is_some_and(|lanes| lanes.keys().any(|host| moving.contains(host)))
        })
    }

    /// Returns the lanes that do not wait, and those that wait for something that such a lane can bring.
    fn moving(&self) -> BTreeSet<&HostName> {
        let waiting: BTreeSet<&HostName> = self.questions.iter().map(|question| &question.host).collect();
        let hoped = self.hopes.values().flat_map(BTreeMap::keys);
        let mut moving: BTreeSet<&HostName> = hoped.filter(|host| !waiting.contains(host)).collect();
        loop {
            let before = moving.len();
            for question in &self.questions {
                if self.can_be_served(question, &moving) {
                    moving.insert(&question.host);
                }
            }
            if moving.len() == before {
                return moving;
            }
        }
    }

    fn refusal(&self, question: &Question) -> String {
        let Question { node, pool, .. } = question;
        let limit = self.limits.of(pool);
        if limit == 0 {
            return format!("the budget of {pool} lets no node be down");
        }
        let are = if limit == 1 { "one node".to_owned() } else { format!("{limit} nodes") };
        let is_last = self.limits.sizes.get(pool).is_some_and(|size| self.held(pool).count() + 1 >= *size);
        let last = if is_last {
            "; it is the last one that serves: --allow-outage takes it down all the same"
        } else {
            ""
        };
        format!(
            "{node} was not touched: {are} of {pool} may be down at once, and down are {}; nothing that still runs will change that{last}",
            self.holders(pool)
        )
    }
}
