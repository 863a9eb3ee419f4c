//! A drafted plan: stages and steps before the artifacts are available.

use std::collections::{BTreeMap, BTreeSet};

use apim_protocol::value::Sha256;

use super::model::{LOCALHOST, OnFailure};
use super::traffic::Traffic;
use apim_product::{Draft, NodeName, StepOptions};
use apim_transport::host::HostName;

/// A plan without its artifacts.
#[derive(Debug, Clone, Default)]
pub struct PlanDraft {
    pub(super) stages: Vec<DraftStage>,
    /// Hosts with tasks that use `become`.
    pub(super) escalates: BTreeSet<HostName>,
    /// Number of tasks excluded by a condition, by host.
    pub(super) left_out: BTreeMap<HostName, usize>,
    pub(super) traffic: Traffic,
}

#[derive(Debug, Clone)]
pub(super) struct DraftStage {
    pub(super) title: String,
    pub(super) on_failure: OnFailure,
    pub(super) lanes: Vec<(HostName, Vec<DraftStep>)>,
}

#[derive(Debug, Clone)]
pub(super) struct DraftStep {
    pub(super) draft: Draft,
    pub(super) options: StepOptions,
}

impl PlanDraft {
    /// Returns the hosts with tasks that use `become`.
    #[must_use]
    pub const fn escalates(&self) -> &BTreeSet<HostName> {
        &self.escalates
    }

    /// Returns the nodes that the plan changes.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<NodeName> {
        changed_nodes(&self.stages)
    }

    /// Returns the digests of the artifacts that hosts may request.
    #[must_use]
    pub fn needs(&self) -> BTreeSet<Sha256> {
        steps(&self.stages).flat_map(|step| step.draft.files.iter().map(|(sha256, _)| *sha256)).collect()
    }

    /// Returns the digests of the artifacts that are read on the control machine.
    #[must_use]
    pub fn local_artifacts(&self) -> BTreeSet<Sha256> {
        let local = steps(&self.stages).filter(|step| step.draft.operation().is_none());
        local.flat_map(|step| step.draft.files.iter().map(|(sha256, _)| *sha256)).collect()
    }

    /// Returns whether there are local tasks.
    #[must_use]
    pub fn uses_localhost(&self) -> bool {
        self.stages.iter().flat_map(|stage| &stage.lanes).any(|(host, _)| host.0 == LOCALHOST)
    }
}

/// Returns the steps of all stages, in order.
pub(super) fn steps(stages: &[DraftStage]) -> impl Iterator<Item = &DraftStep> {
    stages.iter().flat_map(|stage| &stage.lanes).flat_map(|(_, steps)| steps)
}

/// Returns the nodes that the stages change.
pub(super) fn changed_nodes(stages: &[DraftStage]) -> BTreeSet<NodeName> {
    let changing = steps(stages).filter(|step| !step.draft.proves_health && !step.options.check_only);
    changing.filter_map(|step| step.draft.node.clone()).collect()
}

/// Keeps the steps for which `is_kept` is true, and the lanes and stages that still have steps.
pub(super) fn retain(stages: Vec<DraftStage>, is_kept: impl Fn(&DraftStep) -> bool) -> Vec<DraftStage> {
    let kept = stages.into_iter().map(|mut stage| {
        stage.lanes.iter_mut().for_each(|(_, steps)| steps.retain(&is_kept));
        stage.lanes.retain(|(_, steps)| !steps.is_empty());
        stage
    });
    kept.filter(|stage| !stage.lanes.is_empty()).collect()
}

impl DraftStage {
    /// A stage without lanes. A failed host ends the run at its barrier.
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), on_failure: OnFailure::StopAtBarrier, lanes: Vec::new() }
    }

    pub(super) fn add(&mut self, host: &HostName, step: DraftStep) {
        match self.lanes.iter_mut().find(|(known, _)| known == host) {
            Some((_, steps)) => steps.push(step),
            None => self.lanes.push((host.clone(), vec![step])),
        }
    }
}

impl From<Draft> for DraftStep {
    /// A step that comes from no task of a playbook.
    fn from(draft: Draft) -> Self {
        Self { draft, options: StepOptions::default() }
    }
}
