//! Plans that only drain or undrain nodes.

use apim_protocol::operation::Operation;
use apim_protocol::operation::wait::Wait;

use super::{Drafted, DraftedStage, DraftedStep, OnFailure};
use crate::plan::rotation;
use apim_product::hook::ShiftSpec;
use apim_product::load_balancer::{self, RotationState};
use apim_product::work::Work;
use apim_product::{Cluster, Draft, Node, StepOptions, steps};
use apim_transport::host::HostName;

impl Drafted {
    /// Removes the steps that call hooks.
    pub fn leave_hooks_alone(&mut self) {
        for stage in &mut self.stages {
            let is_kept = |step: &DraftedStep| !matches!(step.draft.work, Work::Shift(_));
            stage.lanes.iter_mut().for_each(|(_, steps)| steps.retain(is_kept));
            stage.lanes.retain(|(_, steps)| !steps.is_empty());
        }
        self.stages.retain(|stage| !stage.lanes.is_empty());
    }

    /// Adds stages that undrain the plan's nodes on the managed load balancers after their health
    /// checks. They were drained when they were stopped.
    pub fn put_back(&mut self, cluster: &Cluster) {
        let own = self.nodes();
        let nodes: Vec<&Node> = cluster.nodes().iter().filter(|node| own.contains(&node.name)).collect();
        let mut back = Self::shifting(cluster, &nodes, RotationState::InRotation);
        back.leave_hooks_alone();
        self.stages.extend(back.stages);
    }

    /// Drafts a plan that only drains or undrains `nodes`.
    #[must_use]
    pub fn shifting(cluster: &Cluster, nodes: &[&Node], flow: RotationState) -> Self {
        let (words, waits) = match flow {
            RotationState::InRotation => ("undrain", false),
            RotationState::Drained => ("drain", true),
        };
        let stage = |title: &str| DraftedStage {
            title: title.to_owned(),
            on_failure: OnFailure::StopAtBarrier,
            lanes: Vec::new(),
        };
        let step = |draft, ignore_failure| {
            let options = StepOptions { ignore_failure, ..StepOptions::default() };
            DraftedStep { draft, options }
        };
        let (mut shifts, mut hook_calls) = (stage(words), stage(&format!("{words} by hooks")));
        let mut quiet = stage("wait for connections to close");
        for node in nodes {
            // Errors were reported when the cluster was built.
            for (host, load_balancer::DesiredFiles { bundle, contents }) in
                load_balancer::rotation_files(cluster, node, flow).unwrap_or_default()
            {
                let title = format!("{}: {words}", node.words());
                let mut draft = Draft::new(title, Operation::Bundle(bundle)).of(node);
                draft.contents = contents;
                shifts.add(&HostName(host), step(draft, false));
            }
            let limit_secs = u64::from(node.settings.load_balancer.drain_secs);
            let spec = if waits { ShiftSpec::Drain(limit_secs) } else { ShiftSpec::Undrain };
            let hooks =
                steps::rotation_change(cluster, node, spec, format!("{}: {words} by hooks", node.words()));
            let has_answer = cluster.hooks(&node.name).is_some_and(|hooks| !hooks.drained.is_empty());
            if let Some(draft) = hooks {
                hook_calls.add(&HostName(node.host.clone()), step(draft, false));
            }
            if has_answer && load_balancer::hosts(cluster).next().is_none() {
                continue;
            }
            let wait = Wait {
                awaited: format!("{} has no active connections", node.words()),
                conditions: vec![rotation::quiet(cluster, node)],
                deadline_secs: limit_secs,
                service: None,
                settle_secs: 0,
                remedy: None,
            };
            let draft = Draft::new(wait.awaited.clone(), Operation::Wait(Box::new(wait))).of(node);
            // Connections that remain after the limit are reported, but change nothing.
            quiet.add(&HostName(node.host.clone()), step(draft, true));
        }
        let mut stages = vec![shifts, hook_calls];
        if waits {
            stages.push(quiet);
        }
        stages.retain(|stage| !stage.lanes.is_empty());
        Self { stages, ..Self::default() }
    }
}
