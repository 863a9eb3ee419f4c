//! Stages that only drain or undrain nodes.

use apim_protocol::operation::Operation;
use apim_protocol::operation::wait::Wait;

use super::plan_draft::{DraftStage, DraftStep};
use super::traffic::quiet;
use apim_product::hook::ShiftSpec;
use apim_product::load_balancer::{self, RotationState};
use apim_product::{Cluster, Draft, Node, StepOptions, steps};
use apim_transport::host::HostName;

/// Drafts stages that only drain or undrain `nodes`.
pub(super) fn rotation_stages(cluster: &Cluster, nodes: &[&Node], state: RotationState) -> Vec<DraftStage> {
    let (words, waits) = match state {
        RotationState::InRotation => ("undrain", false),
        RotationState::Drained => ("drain", true),
    };
    let step = |draft, ignore_failure| {
        let options = StepOptions { ignore_failure, ..StepOptions::default() };
        DraftStep { draft, options }
    };
    let (mut shifts, mut hook_calls) = (DraftStage::new(words), DraftStage::new(format!("{words} by hooks")));
    let mut waiting = DraftStage::new("wait for connections to close");
    for node in nodes {
        // Errors were reported when the cluster was built.
        for (host, load_balancer::DesiredFiles { bundle, contents }) in
            load_balancer::rotation_files(cluster, node, state).unwrap_or_default()
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
            conditions: vec![quiet(cluster, node)],
            deadline_secs: limit_secs,
            service: None,
            settle_secs: 0,
            remedy: None,
        };
        let draft = Draft::new(wait.awaited.clone(), Operation::Wait(Box::new(wait))).of(node);
        // Connections that remain after the limit are reported, but change nothing.
        waiting.add(&HostName(node.host.clone()), step(draft, true));
    }
    let mut stages = vec![shifts, hook_calls];
    if waits {
        stages.push(waiting);
    }
    stages.retain(|stage| !stage.lanes.is_empty());
    stages
}
