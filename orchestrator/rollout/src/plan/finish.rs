//! Completes a drafted plan once its artifacts are available.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use apim_protocol::message::StepId;
use apim_protocol::operation::Operation;
use apim_protocol::operation::unit::State;
use apim_protocol::value::Sha256;

use super::model::{ContentSource, Lane, Plan, Stage, Step};
use super::plan_draft::{DraftStage, DraftStep, PlanDraft};
use super::traffic::Traffic;
use apim_product::{Draft, NodeName, StepOptions};

impl PlanDraft {
    /// Creates the plan. `artifacts` contains path and size in bytes of each artifact. A missing one
    /// cannot be sent.
    #[must_use]
    pub fn finish(self, artifacts: &BTreeMap<Sha256, (PathBuf, u64)>) -> Plan {
        let Self { stages: drafts, escalates: _, left_out, traffic } = self;
        let Traffic { rotations, peers, stays_drained: drains, mut contents } = traffic;
        for (sha256, (path, _)) in artifacts {
            contents.sources.insert(*sha256, ContentSource::File(path.clone()));
        }
        let mut next = 1;
        let mut stages = Vec::new();
        let mut started = BTreeSet::new();
        for DraftStage { title, on_failure, lanes } in drafts {
            let lanes = lanes.into_iter().map(|(host, steps)| {
                let mut steps: Vec<Step> = steps
                    .into_iter()
                    .map(|mut step| {
                        for (sha256, _) in step.draft.files.clone() {
                            let size = artifacts.get(&sha256).map_or(0, |(_, size)| *size);
                            step.draft.set_size(sha256, size);
                        }
                        for bytes in &step.draft.contents {
                            contents.add(bytes.clone());
                        }
                        numbered(step, &mut next)
                    })
                    .collect();
                node_by_node(&mut steps);
                keep_rescues_of_started(&mut steps, &mut started);
                Lane { host, steps }
            });
            let lanes = lanes.collect();
            stages.push(Stage { title, lanes, width: None, on_failure });
        }
        Plan { stages, contents, rotations, peers, drains, left_out }
    }
}

/// Numbers a step and its rescue steps.
fn numbered(step: DraftStep, next: &mut u32) -> Step {
    let id = StepId(*next);
    *next += 1;
    let DraftStep { draft, options } = step;
    let Draft { title, work, node, budget, proves_health, contents: _, files: _, rescue } = draft;
    let rescue = rescue.into_iter().map(|draft| {
        let tags = options.tags.clone();
        let options = StepOptions { tags, no_log: options.no_log, ..StepOptions::default() };
        numbered(DraftStep { draft, options }, next)
    });
    let rescue = rescue.collect();
    Step { id, title, work, node, budget, proves_health, options, rescue }
}

/// On a host with several nodes, one node is finished before the next one starts: tasks are lowered
/// for all nodes of a host at once, and a node must be healthy before its neighbour may go down.
fn node_by_node(steps: &mut [Step]) {
    for together in steps.chunk_by_mut(|one, next| one.node.is_some() && next.node.is_some()) {
        let mut order = Vec::new();
        for node in together.iter().filter_map(|step| step.node.clone()) {
            if !order.contains(&node) {
                order.push(node);
            }
        }
        together.sort_by_key(|step| order.iter().position(|node| Some(node) == step.node.as_ref()));
    }
}

/// Keeps rescue steps only after a step that started the node; `started` collects those nodes. A
/// read-only plan changes nothing.
fn keep_rescues_of_started(steps: &mut [Step], started: &mut BTreeSet<NodeName>) {
    for step in steps {
        let starts = matches!(step.operation(), Some(Operation::Unit(unit)) if unit.state == State::Started);
        started.extend(step.node.clone().filter(|_| starts && !step.options.check_only));
        if step.node.as_ref().is_none_or(|node| !started.contains(node)) {
            step.rescue.clear();
        }
    }
}
