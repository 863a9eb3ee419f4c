//! Plan, stage, lane, step: the four nested words that carry the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use apim_protocol::message::{Job, StepId};
use apim_protocol::operation::Operation;
use apim_protocol::operation::wait::Condition;
use apim_protocol::query::Query;
use apim_protocol::value::{AbsPath, Content, Sha256};

pub use crate::apim::NodeName;
pub use crate::apim::availability::Allowance;
pub use crate::apim::hook::{Call, Hook, Hooks, Program, Shift, ShiftWish};
pub use crate::apim::work::{DatabaseWish, DatabaseWork, Login, Schema, Schemas, Server, Work};
use crate::inventory::host::HostName;

/// Everything that is to be done; never changed once built.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In order; a barrier stands behind each.
    pub stages: Vec<Stage>,
    /// The bytes that operations name by digest.
    pub contents: Contents,
    /// How nodes are taken out of rotation before they are taken down, and put back.
    pub rotations: BTreeMap<NodeName, Rotation>,
    /// All nodes of the roles of which it may take a node down: those that are down count against the budget.
    pub peers: Vec<Peer>,
    /// Whether those that it works on leave the rotation until somebody puts them back: of each role one that serves must be left.
    pub drains: bool,
    /// How many tasks a condition left out, by host; they count as skipped.
    pub left_out: BTreeMap<HostName, usize>,
}

/// How a node is taken out of rotation, so that nobody is sent to it any more, and put back.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The node's host.
    pub host: HostName,
    /// Where it is taken out.
    pub balancers: Vec<Balancer>,
    /// How load balancers are told that somebody else sees to.
    pub hooks: Option<Arc<Hooks>>,
    /// When nobody is served by it any more.
    pub quiet: Condition,
    /// How long that is waited for, in seconds.
    pub limit_secs: u64,
}

/// One load balancer, and what its host's agent is asked for.
#[derive(Debug, Clone)]
pub struct Balancer {
    /// Its host.
    pub host: HostName,
    /// Where it is to be found whether it knows the node; one that does not is left alone.
    pub known_by: AbsPath,
    /// The node gets no new requests.
    pub drain: Operation,
    /// It gets them again.
    pub undrain: Operation,
}

/// A node of a role of which a plan may take a node down.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The node.
    pub node: NodeName,
    /// Its host.
    pub host: HostName,
    /// The pool that it counts in.
    pub pool: String,
    /// What holds when it is healthy, whatever release it runs from.
    pub healthy: Operation,
    /// Whether the plan may take it down itself; otherwise nothing is done with it.
    pub is_worked_on: bool,
    /// What holds when no hook keeps it from getting requests, where it has hooks.
    pub returned: Option<Operation>,
    /// The load balancers that may have been told to send it nobody.
    pub balancers: Vec<Balancer>,
}

impl Plan {
    /// Returns the hosts on which hooks are run.
    #[must_use]
    pub fn hosts_of_hooks(&self) -> BTreeSet<HostName> {
        let shifts = self.steps().filter_map(|(_, step)| match &step.work {
            Work::Shift(shift) => Some(&shift.hooks),
            Work::Host(_) | Work::Query(_) | Work::Database(_) => None,
        });
        let hooks = shifts.chain(self.rotations.values().filter_map(|rotation| rotation.hooks.as_ref()));
        hooks.flat_map(|hooks| hooks.hosts()).map(|host| HostName(host.to_owned())).collect()
    }

    /// Returns every step with its host, in order; behind each those that are done when it has failed.
    pub fn steps(&self) -> impl Iterator<Item = (&HostName, &Step)> {
        let lanes = self.stages.iter().flat_map(|stage| &stage.lanes);
        lanes.flat_map(|lane| {
            let steps = lane.steps.iter().flat_map(|step| std::iter::once(step).chain(&step.rescue));
            steps.map(|step| (&lane.host, step))
        })
    }
}

/// What lies between two barriers.
#[derive(Debug, Clone)]
pub struct Stage {
    /// For people, such as `start key managers`.
    pub title: String,
    /// One per host, run in parallel (as many at once as `width` says).
    pub lanes: Vec<Lane>,
    /// How many lanes at once; `None` for all (forks still cap it).
    pub width: Option<usize>,
    /// What a failed lane means for the rest.
    pub on_failure: OnFailure,
}

/// What a failed lane means for the other lanes and the stages behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The others finish the stage; the run ends at the barrier.
    StopAtBarrier,
    /// The run ends at the barrier when more than this percentage of the stage's hosts failed; otherwise failed hosts drop out.
    StopAbove(u8),
    /// Lanes not begun do not begin; the run ends at the barrier.
    StopAtOnce,
}

/// One host's part of a stage; its steps run in order and stop at the first failure.
#[derive(Debug, Clone)]
pub struct Lane {
    /// Where.
    pub host: HostName,
    /// What.
    pub steps: Vec<Step>,
}

/// One operation with its title.
#[derive(Debug, Clone)]
pub struct Step {
    /// Unique in the plan.
    pub id: StepId,
    /// For people, such as `key manager km1: write deployment.toml`.
    pub title: String,
    /// The wish.
    pub work: Work,
    /// Which node it concerns, where it concerns one.
    pub node: Option<NodeName>,
    /// The pool that leave to take a node down comes from (a role's name); `None`: leave is always granted.
    pub budget: Option<String>,
    /// Whether the success of this step shows that `node` is healthy (gives back its permit).
    pub proves_health: bool,
    /// Whether later steps run although this one failed.
    pub ignore_failure: bool,
    /// `Some(mode)` fixes check or apply whatever the run's mode is (a read-only step in apply: check).
    pub check_only: bool,
    /// Whether results of the step must not be shown (`no_log`).
    pub no_log: bool,
    /// How often it is tried again after a failure.
    pub retries: u32,
    /// Seconds between tries.
    pub delay_secs: u32,
    /// Tags, for `--tags` and `--skip-tags`.
    pub tags: Vec<String>,
    /// What is done for its node once it has failed: in order, up to the first that does not succeed. The step has failed all the same.
    pub rescue: Vec<Step>,
}

impl Step {
    /// Returns the wish that the host's agent sees to; `None` where the orchestrator does the work itself.
    #[must_use]
    pub const fn operation(&self) -> Option<&Operation> {
        self.work.operation()
    }

    /// Returns what the agent is asked for when it is only looked at; `None` where the agent cannot tell.
    #[must_use]
    pub fn look(&self) -> Option<Job> {
        self.work.look()
    }

    /// Returns the query that the host's agent answers, if the step is one.
    #[must_use]
    pub const fn query(&self) -> Option<&Query> {
        self.work.query()
    }

    /// Returns the contents that the operation names; a host may ask for these and no others.
    pub fn contents(&self) -> impl Iterator<Item = Content> {
        self.operation().map(Operation::contents).unwrap_or_default().into_iter()
    }
}

/// The bytes behind digests.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Where each is.
    pub sources: BTreeMap<Sha256, ContentSource>,
}

/// Where bytes are.
#[derive(Debug, Clone)]
pub enum ContentSource {
    /// In memory (configuration, small files).
    Bytes(Arc<[u8]>),
    /// In a local file that was verified to have the digest (distributions).
    File(PathBuf),
}

impl Contents {
    /// Adds bytes and returns their name.
    pub fn add(&mut self, bytes: impl Into<Arc<[u8]>>) -> Content {
        let bytes = bytes.into();
        let content = Content::of(&bytes);
        self.sources.insert(content.sha256, ContentSource::Bytes(bytes));
        content
    }
}
