//! What a run came to.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use apim_protocol::facts::Facts;
use apim_protocol::message::StepId;
use apim_protocol::outcome::{Outcome, ReleaseChange};

use super::budget::Standing;
use crate::inventory::host::HostName;
use crate::plan::model::NodeName;

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct RunResult {
    /// Every host of the plan.
    pub hosts: BTreeMap<HostName, HostResult>,
    /// The outcome of each step that was looked at or run (the survey's, where the step was not run after it).
    pub outcomes: BTreeMap<StepId, Outcome>,
    /// The nodes that were to move to another release, by the step that moves them; what hosts say, names that were looked at.
    pub moves: BTreeMap<StepId, ReleaseChange>,
    /// When the answers to questions were heard.
    pub heard: BTreeMap<StepId, SystemTime>,
    /// How long each stage took that was begun, in order: index in the plan, time.
    pub stages: Vec<(usize, Duration)>,
    /// Whether a survey found nothing to do, so that no stage was run.
    pub nothing_to_do: bool,
    /// How the nodes of each pool stand, in the order of the plan, where a run took one of them down or found one down.
    pub nodes: Vec<NodeResult>,
    /// What was found otherwise than expected, so that nothing was changed; a line each.
    pub unexpected: Vec<String>,
    /// Where and why the run ended early.
    pub stopped: Option<Stopped>,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// How long it took.
    pub wall: Duration,
}

/// How a node stands at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeResult {
    /// The node.
    pub node: NodeName,
    /// The pool that it belongs to.
    pub pool: String,
    /// How it stands.
    pub standing: Standing,
}

/// A run that ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Index of the stage behind which, or in which, it stopped.
    pub stage: usize,
    /// Its title.
    pub title: String,
    /// Why, as a sentence.
    pub why: String,
}

/// What became of one host.
#[derive(Debug, Clone, Default)]
pub struct HostResult {
    /// Counts of outcomes.
    pub tally: Tally,
    /// How it ended.
    pub end: HostEnd,
    /// What it says of itself, once it was reached.
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
    /// It was not reached, or its link was lost for good: why, and what to do.
    Unreachable(String, Option<String>),
    /// The run was stopped, by the user or at a barrier, before this step (its title; `None` when the whole stage was left out).
    Stopped(Option<String>),
}

/// Counts in Ansible's recap words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// As wished already.
    pub ok: usize,
    /// Changed, or in check mode would be.
    pub changed: usize,
    /// Not run.
    pub skipped: usize,
    /// Did not work.
    pub failed: usize,
    /// Did not work, which the playbook ignores; not among the failed.
    pub ignored: usize,
    /// 1 when the host was not reached or lost.
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
    /// Says whether no host failed, was unreachable or was stopped.
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
