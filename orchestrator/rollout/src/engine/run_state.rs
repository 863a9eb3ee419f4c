//! The state of a run: its workers and its result so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use apim_protocol::outcome::Outcome;
use tokio::task::JoinError;

use super::budget::Standing;
use super::cache::is_of_its_host;
use super::event::Event;
use super::result::{HostEnd, NodeResult, RunResult, Stopped};
use super::shared::Shared;
use super::worker::Worker;
use crate::plan::model::LOCALHOST;
use crate::plan::model::{Lane, Step};
use apim_product::NodeName;
use apim_transport::host::HostName;

/// A run: its workers and its result so far.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    /// All hosts, in the order of the plan.
    pub(super) hosts: Vec<HostName>,
    /// Workers that are not in a task at the moment.
    pub(super) workers: BTreeMap<HostName, Worker>,
    pub(super) result: RunResult,
}

impl Run {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let mut seen = BTreeSet::new();
        let lanes = shared.plan.stages.iter().flat_map(|stage| &stage.lanes);
        let hosts: Vec<HostName> =
            lanes.map(|lane| &lane.host).filter(|host| seen.insert(*host)).cloned().collect();
        let mut workers: BTreeMap<HostName, Worker> =
            hosts.iter().map(|host| (host.clone(), Worker::new(host.clone()))).collect();
        for (host, tasks) in &shared.plan.left_out {
            if let Some(worker) = workers.get_mut(host) {
                worker.result.tally.skipped = *tasks;
            }
        }
        Self { shared, hosts, workers, result: RunResult::default() }
    }

    pub(super) fn is_lane_met(&self, host: &HostName, steps: &[Step]) -> bool {
        self.workers.get(host).is_some_and(|worker| {
            worker.result.end == HostEnd::Done && steps.iter().all(|step| is_met(worker, step))
        })
    }

    /// Returns whether the survey result of an up-to-date lane is still valid after changes
    /// elsewhere: nothing was changed on its own host or on the control machine, and its steps
    /// check nothing but their own host.
    pub(super) fn is_settled(&self, lane: &Lane) -> bool {
        let is_untouched = |host: &HostName| self.workers.get(host).is_none_or(|worker| !worker.is_touched);
        self.is_lane_met(&lane.host, &lane.steps)
            && is_untouched(&lane.host)
            && is_untouched(&HostName(LOCALHOST.to_owned()))
            && lane.steps.iter().all(is_of_its_host)
    }

    /// Takes the result of a lane from the survey.
    pub(super) fn take_lane_from_survey(&mut self, lane: &Lane) {
        let shared = Arc::clone(&self.shared);
        let Some(worker) = self.workers.get_mut(&lane.host) else { return };
        for step in &lane.steps {
            let outcome = worker.outcomes.get(&step.id).cloned().unwrap_or(Outcome::Ok);
            worker.record(step.id, outcome.clone(), step.options.ignore_failure);
            let (host, title) = (lane.host.clone(), step.title.clone());
            shared.tell(Event::StepFinished(host, step.id, title, outcome, Duration::ZERO));
        }
    }

    /// Takes a worker back from its task. Panics of the task are propagated.
    pub(super) fn take_back(&mut self, joined: Result<Worker, JoinError>) {
        match joined {
            Ok(worker) => {
                self.workers.insert(worker.host.clone(), worker);
            }
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }

    /// Ends the run in or after stage `index`. Hosts with remaining steps are stopped.
    pub(super) fn stop(&mut self, index: usize, why: &str) {
        let plan = Arc::clone(&self.shared.plan);
        for stage in plan.stages.get(index..).unwrap_or_default() {
            for lane in &stage.lanes {
                let Some(worker) = self.workers.get_mut(&lane.host) else { continue };
                let has_steps_left = lane.steps.iter().any(|step| !worker.ran(step.id));
                if worker.result.end == HostEnd::Done && has_steps_left {
                    worker.result.end = HostEnd::Stopped(Some(stage.title.clone()));
                }
            }
        }
        let title = plan.stages.get(index).map(|stage| stage.title.clone()).unwrap_or_default();
        self.result.stopped = Some(Stopped { stage: index, title, why: why.to_owned() });
    }

    pub(super) fn into_result(self) -> RunResult {
        let mut result = self.result;
        result.nodes = standings(&self.shared);
        for host in self.hosts {
            result.hosts.entry(host).or_default().end = HostEnd::Stopped(None);
        }
        for (host, worker) in self.workers {
            result.outcomes.extend(worker.outcomes);
            result.heard.extend(worker.heard);
            result.hosts.insert(host, worker.result);
        }
        result
    }
}

/// Returns the state of the nodes of all pools in which a node was down.
fn standings(shared: &Shared) -> Vec<NodeResult> {
    let steps = shared.plan.stages.iter().flat_map(|stage| &stage.lanes).flat_map(|lane| &lane.steps);
    let mut seen: BTreeSet<&NodeName> = BTreeSet::new();
    let nodes = steps.filter_map(|step| Some((step.node.as_ref()?, step.budget.as_ref()?)));
    let mut all: Vec<NodeResult> = nodes
        .filter(|(node, _)| seen.insert(node))
        .map(|(node, pool)| NodeResult {
            node: node.clone(),
            pool: pool.clone(),
            standing: shared.budget.standing(node),
        })
        .collect();
    let moved: BTreeSet<String> =
        all.iter().filter(|one| one.standing != Standing::Untouched).map(|one| one.pool.clone()).collect();
    all.retain(|one| moved.contains(&one.pool));
    all.sort_by(|one, other| one.pool.cmp(&other.pool));
    all
}

/// Returns whether `step` is up to date according to the survey.
pub(super) fn is_met(worker: &Worker, step: &Step) -> bool {
    matches!(worker.outcomes.get(&step.id), Some(Outcome::Ok | Outcome::Observed(_) | Outcome::Skipped(_)))
}
