//! The result of a run.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use apim_protocol::facts::Facts;
use apim_protocol::message::StepId;
use apim_protocol::outcome::{Failure, Outcome, ReleaseChange};

use super::budget::Standing;
use apim_product::NodeName;
use apim_transport::host::HostName;

/// The result of a run.
#[derive(Debug, Clone, Default)]
pub struct RunResult {
    /// Every host of the plan.
    pub hosts: BTreeMap<HostName, HostResult>,
    /// The outcome of each step that was checked or run (the survey's if the step did not run).
    pub outcomes: BTreeMap<StepId, Outcome>,
    /// Planned release changes of nodes, by step. The names come from the hosts and were checked.
    pub moves: BTreeMap<StepId, ReleaseChange>,
    /// When answers to questions were received.
    pub heard: BTreeMap<StepId, SystemTime>,
    /// Duration of each stage that started, in order: index in the plan, time.
    pub stages: Vec<(usize, Duration)>,
    /// Whether the survey found everything up to date, so that no stage ran.
    pub nothing_to_do: bool,
    /// State of the nodes of each pool in which a node was down, in the order of the plan.
    pub nodes: Vec<NodeResult>,
    /// Differences from the saved plan, one line each. If there are any, nothing was changed.
    pub unexpected: Vec<String>,
    /// Where and why the run ended early.
    pub stopped: Option<Stopped>,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// How long it took.
    pub wall: Duration,
}

/// State of a node at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeResult {
    /// The node.
    pub node: NodeName,
    /// The pool that it belongs to.
    pub pool: String,
    /// Its state.
    pub standing: Standing,
}

/// A run that ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Index of the stage in or after which it stopped.
    pub stage: usize,
    /// Its title.
    pub title: String,
    /// The reason.
    pub why: String,
}

/// Result of one host.
#[derive(Debug, Clone, Default)]
pub struct HostResult {
    /// Counts of outcomes.
    pub tally: Tally,
    /// How it ended.
    pub end: HostEnd,
    /// Facts of the host, if it was reached.
    pub facts: Option<Facts>,
}

/// How a host ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HostEnd {
    /// All its steps were done.
    #[default]
    Done,
    /// A step failed: its title.
    Failed(String),
    /// Unreachable, or its link was lost for good.
    Unreachable(Failure),
    /// Stopped by the user or at a barrier before this step (its title; `None` if the whole stage
    /// was skipped).
    Stopped(Option<String>),
}

/// Counts, named as in Ansible's recap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Up to date.
    pub ok: usize,
    /// Changed, or in check mode would be.
    pub changed: usize,
    /// Not run.
    pub skipped: usize,
    /// Failed.
    pub failed: usize,
    /// Failed but ignored by the playbook; not included in `failed`.
    pub ignored: usize,
    /// 1 if the host was unreachable or lost.
    pub unreachable: usize,
}

impl Tally {
    /// Counts one outcome.
    pub fn count(&mut self, outcome: &Outcome, ignored: bool) {
        match outcome {
            Outcome::Ok | Outcome::Observed(_) => self.ok += 1,
            Outcome::WouldChange(_) | Outcome::Changed(_) => self.changed += 1,
            Outcome::Skipped(_) => self.skipped += 1,
            Outcome::Failed(_) if ignored => self.ignored += 1,
            Outcome::Failed(_) => self.failed += 1,
        }
    }
}

impl RunResult {
    /// Returns whether no host failed, was unreachable or was stopped.
    #[must_use]
    pub fn is_success(&self) -> bool {
        !self.interrupted && self.stopped.is_none() && self.hosts.values().all(|h| h.end == HostEnd::Done)
    }

    /// Returns how many steps changed something, or in check mode would.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.hosts.values().map(|host| host.tally.changed).sum()
    }
}
