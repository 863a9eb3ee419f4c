//! Nodes that get requests from the load balancers, or none, and nothing else: `drain` and `undrain`.

use apim_protocol::operation::Operation;
use apim_protocol::operation::wait::Wait;

use super::{Drafted, DraftedStage, DraftedStep, OnFailure};
use crate::apim::balancer::{self, Flow};
use crate::apim::hook::ShiftWish;
use crate::apim::work::Work;
use crate::apim::{Cluster, Draft, Node, steps};
use crate::inventory::host::HostName;
use crate::plan::rotation;

impl Drafted {
    /// Leaves out what is told to load balancers by hooks.
    pub fn leave_hooks_alone(&mut self) {
        for stage in &mut self.stages {
            let is_kept = |step: &DraftedStep| !matches!(step.draft.work, Work::Shift(_));
            stage.lanes.iter_mut().for_each(|(_, steps)| steps.retain(is_kept));
            stage.lanes.retain(|(_, steps)| !steps.is_empty());
        }
        self.stages.retain(|stage| !stage.lanes.is_empty());
    }

    /// Adds that its nodes get requests from the load balancers that we see to, once they are healthy: who stopped them left them out.
    pub fn put_back(&mut self, cluster: &Cluster) {
        let own = self.nodes();
        let nodes: Vec<&Node> = cluster.nodes().iter().filter(|node| own.contains(&node.name)).collect();
        let mut back = Self::shifting(cluster, &nodes, Flow::Open);
        back.leave_hooks_alone();
        self.stages.extend(back.stages);
    }

    /// Drafts that these nodes get requests from the load balancers, or none, and nothing else.
    #[must_use]
    pub fn shifting(cluster: &Cluster, nodes: &[&Node], flow: Flow) -> Self {
        let (words, waits) = match flow {
            Flow::Open => ("put back into rotation", false),
            Flow::Held => ("taken out of rotation", true),
        };
        let stage = |title: &str| DraftedStage {
            title: title.to_owned(),
            on_failure: OnFailure::StopAtBarrier,
            lanes: Vec::new(),
        };
        let step = |draft, ignore_failure| DraftedStep { ignore_failure, ..DraftedStep::plain(draft) };
        let (mut shifts, mut told) = (stage(words), stage(&format!("{words} by hooks")));
        let mut quiet = stage("connections end");
        for node in nodes {
            // What cannot be made was told as a mistake when the cluster was built.
            for (host, balancer::Wish { bundle, contents }) in
                balancer::shift(cluster, node, flow).unwrap_or_default()
            {
                let title = format!("{}: {words}", node.words());
                let mut draft = Draft::new(title, Operation::Bundle(bundle)).of(node);
                draft.contents = contents;
                shifts.add(&HostName(host), step(draft, false));
            }
            let limit_secs = u64::from(node.settings.load_balancer.drain_secs);
            let wish = if waits { ShiftWish::Out(limit_secs) } else { ShiftWish::In };
            let hooks = steps::shift(cluster, node, wish, format!("{}: {words} by hooks", node.words()));
            let has_answer = cluster.hooks(&node.name).is_some_and(|hooks| !hooks.drained.is_empty());
            if let Some(draft) = hooks {
                told.add(&HostName(node.host.clone()), step(draft, false));
            }
            if has_answer && balancer::hosts(cluster).next().is_none() {
                continue;
            }
            let wait = Wait {
                awaited: format!("{} serves nobody", node.words()),
                conditions: vec![rotation::quiet(cluster, node)],
                deadline_secs: limit_secs,
                service: None,
                settle_secs: 0,
                remedy: None,
            };
            let draft = Draft::new(wait.awaited.clone(), Operation::Wait(Box::new(wait))).of(node);
            // That somebody is still connected after the limit is said, and changes nothing.
            quiet.add(&HostName(node.host.clone()), step(draft, true));
        }
        let mut stages = vec![shifts, told];
        if waits {
            stages.push(quiet);
        }
        stages.retain(|stage| !stage.lanes.is_empty());
        Self { stages, ..Self::default() }
    }
}
