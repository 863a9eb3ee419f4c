//! Describes what the run is doing: the current steps, those that take nodes down first.

use std::collections::{BTreeMap, BTreeSet};

use apim_protocol::message::StepId;
use apim_protocol::outcome::Outcome;

use crate::engine::event::Event;
use crate::plan::model::Plan;
use apim_transport::host::HostName;

/// Maximum number of steps that are named.
const NAMED: usize = 2;
/// Maximum length of a name in characters.
const LONG: usize = 120;

/// The current activity.
#[derive(Debug)]
pub(super) struct Activity {
    /// The steps that may take a node down or bring one up.
    disruptive: BTreeSet<StepId>,
    steps: BTreeMap<HostName, CurrentStep>,
    phase: String,
    /// The last change in this stage, until another step starts.
    changed: Option<String>,
}

#[derive(Debug)]
struct CurrentStep {
    step: StepId,
    title: String,
    progress: String,
    waits: bool,
}

impl Activity {
    pub(super) fn new(plan: &Plan) -> Self {
        let disruptive =
            plan.steps_with_rescues().filter(|(_, step)| step.budget.is_some()).map(|(_, step)| step.id);
        let phase = "connecting".to_owned();
        Self { disruptive: disruptive.collect(), steps: BTreeMap::new(), phase, changed: None }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Surveying(..) => "checking the hosts".clone_into(&mut self.phase),
            Event::StageStarted(index, title) => {
                self.changed = None;
                self.phase = format!("stage {}: {title}", index + 1);
            }
            Event::StepStarted(host, step, title) => {
                let (title, progress) = (title.clone(), String::new());
                self.steps.insert(host.clone(), CurrentStep { step: *step, title, progress, waits: false });
            }
            Event::StepProgress(host, step, what, ..) => {
                self.change(host, *step, |current| {
                    what.clone_into(&mut current.progress);
                    current.waits = false;
                });
            }
            Event::WaitingForLeave(host, step, _) => self.change(host, *step, |current| current.waits = true),
            Event::LeaveDecided(host, step) => self.change(host, *step, |current| {
                current.progress.clear();
                current.waits = false;
            }),
            Event::StepFinished(host, _, title, outcome, _) => {
                self.steps.remove(host);
                if matches!(outcome, Outcome::Changed(_)) {
                    self.changed = Some(name(host, title, ""));
                }
            }
            Event::Unreachable { host, .. } => {
                self.steps.remove(host);
            }
            Event::RunFinished(_) => {
                self.steps.clear();
                self.changed = None;
                "the end of the run".clone_into(&mut self.phase);
            }
            _ => {}
        }
    }

    fn change(&mut self, host: &HostName, step: StepId, change: impl FnOnce(&mut CurrentStep)) {
        if let Some(current) = self.steps.get_mut(host).filter(|current| current.step == step) {
            change(current);
        }
    }

    pub(super) fn words(&self) -> String {
        let mut moving: Vec<(&HostName, &CurrentStep)> =
            self.steps.iter().filter(|(_, current)| !current.waits).collect();
        moving.sort_by_key(|(_, current)| !self.disruptive.contains(&current.step));
        let named: Vec<String> =
            moving.iter().take(NAMED).map(|(host, one)| name(host, &one.title, &one.progress)).collect();
        match moving.len() {
            0 => match &self.changed {
                Some(changed) => format!("after {changed}"),
                None => self.phase.clone(),
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
    use apim_protocol::outcome::Failure;

    use super::*;

    fn host(name: &str) -> HostName {
        HostName(name.to_owned())
    }

    #[test]
    fn disruptive_steps_are_named_first() {
        let mut doing = Activity::new(&Plan::default());
        doing.disruptive.insert(StepId(7));
        assert_eq!(doing.words(), "connecting");
        doing.apply(&Event::StageStarted(3, "start gateways".into()));
        assert_eq!(doing.words(), "stage 4: start gateways");
        for (name, step, title) in
            [("a1", 1, "motd"), ("a2", 2, "a file"), ("gw1", 7, "gateway gw1: service")]
        {
            doing.apply(&Event::StepStarted(host(name), StepId(step), title.into()));
        }
        doing.apply(&Event::StepProgress(host("gw1"), StepId(7), "stopping".into(), 1, 300));
        assert_eq!(doing.words(), "gateway gw1: service, stopping; a1: motd; and 1 more");
        doing.apply(&Event::WaitingForLeave(host("gw1"), StepId(7), "gw2".into()));
        assert_eq!(doing.words(), "a1: motd; a2: a file", "waiting steps are not active");
        let drain = "draining";
        doing.apply(&Event::StepProgress(host("gw1"), StepId(7), drain.into(), 0, 0));
        assert_eq!(doing.words(), format!("gateway gw1: service, {drain}; a1: motd; and 1 more"));
        doing.apply(&Event::LeaveDecided(host("gw1"), StepId(7)));
        for name in ["a1", "a2"] {
            doing.apply(&Event::Unreachable { host: host(name), failure: Failure::new("gone") });
        }
        doing.apply(&Event::StepProgress(host("gw1"), StepId(6), "of another step".into(), 0, 0));
        assert_eq!(doing.words(), "gateway gw1: service");
        let changed = Outcome::Changed(Difference::default());
        let (took, title) = (std::time::Duration::ZERO, "gateway gw1: service".to_owned());
        doing.apply(&Event::StepFinished(host("gw1"), StepId(7), title, changed, took));
        assert_eq!(doing.words(), "after gateway gw1: service", "a change has effects after its step");
        doing.apply(&Event::RunFinished(std::time::Duration::ZERO));
        assert_eq!(doing.words(), "the end of the run");
    }
}
