//! What the run is doing, in words: the steps in hand, those first that take nodes down.

use std::collections::{BTreeMap, BTreeSet};

use apim_protocol::message::StepId;
use apim_protocol::outcome::Outcome;

use crate::engine::event::Event;
use crate::inventory::host::HostName;
use crate::plan::model::Plan;

/// So many steps are named.
const NAMED: usize = 2;
/// Longest name of one.
const LONG: usize = 120;

/// What is in hand.
#[derive(Debug)]
pub(super) struct Doing {
    /// The steps that may take a node down or bring one up.
    shaking: BTreeSet<StepId>,
    steps: BTreeMap<HostName, InHand>,
    at_large: String,
    /// What was changed last in this stage, until something else is in hand.
    changed: Option<String>,
}

#[derive(Debug)]
struct InHand {
    step: StepId,
    title: String,
    progress: String,
    waits: bool,
}

impl Doing {
    pub(super) fn new(plan: &Plan) -> Self {
        let shaking = plan.steps().filter(|(_, step)| step.budget.is_some()).map(|(_, step)| step.id);
        let at_large = "connecting".to_owned();
        Self { shaking: shaking.collect(), steps: BTreeMap::new(), at_large, changed: None }
    }

    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::Surveying(..) => "looking at the hosts".clone_into(&mut self.at_large),
            Event::StageStarted(index, title) => {
                self.changed = None;
                self.at_large = format!("stage {}: {title}", index + 1);
            }
            Event::StepStarted(host, step, title) => {
                let (title, progress) = (title.clone(), String::new());
                self.steps.insert(host.clone(), InHand { step: *step, title, progress, waits: false });
            }
            Event::StepProgress(host, step, what, ..) => {
                self.change(host, *step, |in_hand| {
                    what.clone_into(&mut in_hand.progress);
                    in_hand.waits = false;
                });
            }
            Event::WaitingForLeave(host, step, _) => self.change(host, *step, |in_hand| in_hand.waits = true),
            Event::LeaveDecided(host, step) => self.change(host, *step, |in_hand| {
                in_hand.progress.clear();
                in_hand.waits = false;
            }),
            Event::StepFinished(host, _, title, outcome, _) => {
                self.steps.remove(host);
                if matches!(outcome, Outcome::Changed(_)) {
                    self.changed = Some(name(host, title, ""));
                }
            }
            Event::Unreachable(host, ..) => {
                self.steps.remove(host);
            }
            Event::RunFinished(_) => {
                self.steps.clear();
                self.changed = None;
                "the end of the run".clone_into(&mut self.at_large);
            }
            _ => {}
        }
    }

    fn change(&mut self, host: &HostName, step: StepId, change: impl FnOnce(&mut InHand)) {
        if let Some(in_hand) = self.steps.get_mut(host).filter(|in_hand| in_hand.step == step) {
            change(in_hand);
        }
    }

    pub(super) fn words(&self) -> String {
        let mut moving: Vec<(&HostName, &InHand)> =
            self.steps.iter().filter(|(_, in_hand)| !in_hand.waits).collect();
        moving.sort_by_key(|(_, in_hand)| !self.shaking.contains(&in_hand.step));
        let named: Vec<String> =
            moving.iter().take(NAMED).map(|(host, one)| name(host, &one.title, &one.progress)).collect();
        match moving.len() {
            0 => match &self.changed {
                Some(changed) => format!("after {changed}"),
                None => self.at_large.clone(),
            },
            1..=NAMED => named.join("; "),
            more => format!("{}; and {} more", named.join("; "), more - NAMED),
        }
    }
}

fn name(host: &HostName, title: &str, progress: &str) -> String {
    let host = if title.contains(&host.0) { String::new() } else { format!("{host}: ") };
    let progress = if progress.is_empty() { String::new() } else { format!(", {progress}") };
    format!("{host}{title}{progress}").chars().take(LONG).collect()
}

#[cfg(test)]
mod tests {
    use apim_protocol::outcome::Difference;

    use super::*;

    fn host(name: &str) -> HostName {
        HostName(name.to_owned())
    }

    #[test]
    fn steps_in_hand_are_named_those_first_that_shake_nodes() {
        let mut doing = Doing::new(&Plan::default());
        doing.shaking.insert(StepId(7));
        assert_eq!(doing.words(), "connecting");
        doing.hear(&Event::StageStarted(3, "start gateways".into()));
        assert_eq!(doing.words(), "stage 4: start gateways");
        for (name, step, title) in
            [("a1", 1, "motd"), ("a2", 2, "a file"), ("gw1", 7, "gateway gw1: service")]
        {
            doing.hear(&Event::StepStarted(host(name), StepId(step), title.into()));
        }
        doing.hear(&Event::StepProgress(host("gw1"), StepId(7), "stopping".into(), 1, 300));
        assert_eq!(doing.words(), "gateway gw1: service, stopping; a1: motd; and 1 more");
        doing.hear(&Event::WaitingForLeave(host("gw1"), StepId(7), "gw2".into()));
        assert_eq!(doing.words(), "a1: motd; a2: a file", "who waits does nothing");
        let drain = "it is taken out of rotation";
        doing.hear(&Event::StepProgress(host("gw1"), StepId(7), drain.into(), 0, 0));
        assert_eq!(doing.words(), format!("gateway gw1: service, {drain}; a1: motd; and 1 more"));
        doing.hear(&Event::LeaveDecided(host("gw1"), StepId(7)));
        for name in ["a1", "a2"] {
            doing.hear(&Event::Unreachable(host(name), "gone".into(), None));
        }
        doing.hear(&Event::StepProgress(host("gw1"), StepId(6), "of another step".into(), 0, 0));
        assert_eq!(doing.words(), "gateway gw1: service");
        let changed = Outcome::Changed(Difference::default());
        let (took, title) = (std::time::Duration::ZERO, "gateway gw1: service".to_owned());
        doing.hear(&Event::StepFinished(host("gw1"), StepId(7), title, changed, took));
        assert_eq!(doing.words(), "after gateway gw1: service", "what was done has its effects after it");
        doing.hear(&Event::RunFinished(std::time::Duration::ZERO));
        assert_eq!(doing.words(), "the end of the run");
    }
}
