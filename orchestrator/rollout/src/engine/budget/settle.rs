//! Decides the waiting permit requests.

use std::collections::{BTreeMap, BTreeSet};

use super::{Decision, Ledger, Place, Question, Ticket};
use apim_transport::host::HostName;

impl Ledger {
    /// Decides all requests that can be decided now.
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
                    // The node is down already, so the permit changes nothing.
                    false if self.places.contains_key(&node) => Decision::Granted,
                    false => Decision::Refused(format!(
                        "{node} was not touched, because the rollout was halted: {why}"
                    )),
                };
                decisions.push((ticket, decision));
            }
        }
        loop {
            if let Some(at) = self.questions.iter().position(|question| self.has_room(question)) {
                let Question { ticket, node, pool, .. } = self.questions.remove(at);
                let place = Place { pool, why: "in progress".to_owned(), granted: true };
                self.places.entry(node).or_insert(place);
                decisions.push((ticket, Decision::Granted));
            } else if let Some(at) = self.last_unservable() {
                let question = self.questions.remove(at);
                let why = self.refusal(&question);
                decisions.push((question.ticket, Decision::Refused(why)));
            } else {
                return decisions;
            }
        }
    }

    /// The rule: whether the node of `question` may be taken down now.
    pub(super) fn has_room(&self, question: &Question) -> bool {
        let Question { node, pool, .. } = question;
        let granted = self.held(pool).filter(|(_, place)| place.granted).count();
        let down = if self.limits.outage { granted } else { self.held(pool).count() };
        let first = if self.is_rescued(node) { &self.returned } else { &self.canary_passed };
        let may_follow = granted == 0 || first.contains(pool) || !self.limits.canary;
        self.is_down(node) || (down < self.limits.of(pool) && may_follow)
    }

    pub(super) fn last_unservable(&self) -> Option<usize> {
        let moving = self.moving();
        self.questions.iter().rposition(|question| !self.can_be_served(question, &moving))
    }

    /// Returns whether a running lane may still return a permit that `question` waits for.
    pub(super) fn can_be_served(&self, question: &Question, moving: &BTreeSet<&HostName>) -> bool {
        self.held(&question.pool).any(|(node, _)| {
            self.pending_proofs.get(node).is_some_and(|lanes| lanes.keys().any(|host| moving.contains(host)))
        })
    }

    /// Returns the lanes that do not wait, and those that wait for a permit that such a lane can
    /// return.
    pub(super) fn moving(&self) -> BTreeSet<&HostName> {
        let waiting: BTreeSet<&HostName> = self.questions.iter().map(|question| &question.host).collect();
        let proving = self.pending_proofs.values().flat_map(BTreeMap::keys);
        let mut moving: BTreeSet<&HostName> = proving.filter(|host| !waiting.contains(host)).collect();
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

    pub(super) fn refusal(&self, question: &Question) -> String {
        let Question { node, pool, .. } = question;
        let limit = self.limits.of(pool);
        if limit == 0 {
            return format!("the disruption budget of {pool} is 0");
        }
        let are = if limit == 1 { "one node".to_owned() } else { format!("{limit} nodes") };
        let is_last = self.limits.sizes.get(pool).is_some_and(|size| self.held(pool).count() + 1 >= *size);
        let last = if is_last { "; it is the last healthy node (--allow-outage overrides this)" } else { "" };
        format!(
            "{node} was not touched: {are} of {pool} may be down at once; already down: {}{last}",
            self.holders(pool)
        )
    }
}
