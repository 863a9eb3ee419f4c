//! What the survey says about the nodes of a run: release changes, nodes that are down, nodes that
//! are drained.

use std::collections::BTreeMap;

use apim_protocol::outcome::Outcome;

use super::hooks;
use super::result::HostEnd;
use super::run_state::{Run, is_met};
use super::shared::Shared;
use crate::plan::model::Step;
use apim_product::NodeName;
use apim_product::hook::{Shift, ShiftSpec};
use apim_product::work::Work;

impl Run {
    /// Records release changes found by the survey. Later results of the steps replace those of the
    /// survey.
    pub(super) fn note_moves(&mut self) {
        for (step, outcome) in self.workers.values().flat_map(|worker| &worker.outcomes) {
            if let Outcome::WouldChange(found) = outcome {
                self.result.moves.extend(found.release().map(|moved| (*step, moved.clone())));
            }
        }
    }

    /// Counts nodes that are down or on unreachable hosts against their pools.
    ///
    /// A node is down if all its health checks failed. A node that only fails the last one (it
    /// serves, but a connection to a peer is missing) needs a permit like a healthy node. If a plan
    /// contains only health checks, a failed one is not enough evidence.
    pub(super) fn mark_nodes_down(&self) {
        let Shared { plan, budget, .. } = self.shared.as_ref();
        let mut nodes: BTreeMap<&NodeName, Seen<'_>> = BTreeMap::new();
        for lane in plan.stages.iter().flat_map(|stage| &stage.lanes) {
            let Some(worker) = self.workers.get(&lane.host) else { continue };
            for step in &lane.steps {
                let Some(node) = &step.node else { continue };
                let seen = nodes.entry(node).or_default();
                seen.pool = seen.pool.or(step.budget.as_deref());
                seen.is_unreachable = matches!(worker.result.end, HostEnd::Unreachable(..));
                if step.proves_health {
                    seen.proofs += 1;
                    seen.held += usize::from(is_met(worker, step));
                } else {
                    seen.is_managed |= step.budget.is_some();
                }
            }
        }
        for (node, seen) in nodes {
            let why = match seen.is_unreachable {
                true => "its host is unreachable",
                false if seen.is_managed && seen.proofs > 0 && seen.held == 0 => "not healthy",
                false => continue,
            };
            if let Some(pool) = seen.pool {
                budget.mark_down(node, pool, why);
            }
        }
    }

    /// Counts nodes as down that a hook of an earlier run drained and that were not undrained.
    pub(super) fn mark_drained_nodes(&self) {
        let Shared { plan, budget, drained, .. } = self.shared.as_ref();
        let steps = || plan.stages.iter().flat_map(|stage| &stage.lanes).flat_map(|lane| &lane.steps);
        for (host, step) in plan.steps_with_rescues() {
            let Work::Shift(Shift { hooks, spec: ShiftSpec::UndrainIfDrained }) = &step.work else {
                continue;
            };
            let outcomes = self.workers.get(host).map(|worker| &worker.outcomes);
            let found = outcomes.and_then(|outcomes| outcomes.get(&step.id));
            if !matches!(found, Some(Outcome::WouldChange(_))) {
                continue;
            }
            drained.was_left_out(hooks);
            let of_node = |other: &&Step| other.node.as_ref() == Some(&hooks.node);
            let pool = steps().filter(of_node).find_map(|other| other.budget.as_deref());
            if let (Some(pool), false) = (pool, budget.is_down(&hooks.node)) {
                budget.mark_down(&hooks.node, pool, hooks::LEFT_OUT);
            }
        }
    }
}

/// Survey result of a node.
#[derive(Default)]
struct Seen<'a> {
    pool: Option<&'a str>,
    is_unreachable: bool,
    /// Whether the plan does more with the node than check its health.
    is_managed: bool,
    proofs: usize,
    held: usize,
}
