//! The plan model: plan, stage, lane, step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use apim_protocol::message::{Job, StepId};
use apim_protocol::operation::Operation;
use apim_protocol::operation::wait::Condition;
use apim_protocol::query::Query;
use apim_protocol::value::{AbsPath, Content, Sha256};

use apim_product::hook::Hooks;
use apim_product::work::Work;
use apim_product::{NodeName, StepOptions};
use apim_transport::host::HostName;

/// Name of the control machine, for local tasks.
pub const LOCALHOST: &str = "localhost";

/// All work of a run. Immutable once built.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In order, with a barrier after each.
    pub stages: Vec<Stage>,
    /// Content that operations reference by digest.
    pub contents: Contents,
    /// How nodes are drained before they are taken down, and undrained afterwards.
    pub rotations: BTreeMap<NodeName, Rotation>,
    /// All nodes of the roles in which the plan may take a node down. Those that are down count
    /// against the budget.
    pub peers: Vec<Peer>,
    /// Whether the nodes of the plan stay drained until a later undrain. Each role must keep a node
    /// in service.
    pub drains: bool,
    /// Number of tasks excluded by a condition, by host; they count as skipped.
    pub left_out: BTreeMap<HostName, usize>,
}

/// How a node is drained and undrained.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The node's host.
    pub host: HostName,
    /// Load balancers managed by apim-deploy.
    pub balancers: Vec<Balancer>,
    /// Hooks of external load balancers.
    pub hooks: Option<Arc<Hooks>>,
    /// Condition that the node has no more connections.
    pub quiet: Condition,
    /// How long to wait for `quiet`, in seconds.
    pub limit_secs: u64,
}

/// A load balancer, and the operations for its agent.
#[derive(Debug, Clone)]
pub struct Balancer {
    /// Its host.
    pub host: HostName,
    /// Path that exists if the load balancer knows the node. Otherwise it is skipped.
    pub known_by: AbsPath,
    /// The node gets no new requests.
    pub drain: Operation,
    /// The node gets requests again.
    pub undrain: Operation,
}

/// A node of a role in which the plan may take a node down.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The node.
    pub node: NodeName,
    /// Its host.
    pub host: HostName,
    /// The pool that it belongs to.
    pub pool: String,
    /// Health check, independent of the installed release.
    pub healthy: Operation,
    /// Whether the plan may take it down itself. Otherwise it is only checked.
    pub is_worked_on: bool,
    /// Check that no hook has drained it; `None` without hooks.
    pub returned: Option<Operation>,
    /// Load balancers on which it may be drained.
    pub balancers: Vec<Balancer>,
}

impl Plan {
    /// Returns the hosts on which hooks are run.
    #[must_use]
    pub fn hosts_of_hooks(&self) -> BTreeSet<HostName> {
        let shifts = self.steps_with_rescues().filter_map(|(_, step)| match &step.work {
            Work::Shift(shift) => Some(&shift.hooks),
            Work::Host(_) | Work::Query(_) | Work::Database(_) => None,
        });
        let hooks = shifts.chain(self.rotations.values().filter_map(|rotation| rotation.hooks.as_ref()));
        hooks.flat_map(|hooks| hooks.hosts()).map(|host| HostName(host.to_owned())).collect()
    }

    /// Returns the lanes of all stages, in order.
    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.stages.iter().flat_map(|stage| &stage.lanes)
    }

    /// Returns every step with its host, in order, without rescue steps.
    pub fn steps(&self) -> impl Iterator<Item = (&HostName, &Step)> {
        self.lanes().flat_map(|lane| lane.steps.iter().map(|step| (&lane.host, step)))
    }

    /// Returns every step with its host, in order, each followed by its rescue steps.
    pub fn steps_with_rescues(&self) -> impl Iterator<Item = (&HostName, &Step)> {
        self.steps()
            .flat_map(|(host, step)| std::iter::once(step).chain(&step.rescue).map(move |step| (host, step)))
    }
}

/// The work between two barriers.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Shown to users, such as `start key managers`.
    pub title: String,
    /// One per host, run in parallel (limited by `width`).
    pub lanes: Vec<Lane>,
    /// How many lanes at once; `None` for all (forks still cap it).
    pub width: Option<usize>,
    /// What a failed lane means for the rest.
    pub on_failure: OnFailure,
}

/// What a failed lane means for the other lanes and the later stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The others finish the stage; the run ends at the barrier.
    StopAtBarrier,
    /// The run ends at the barrier when more than this percentage of the stage's hosts failed;
    /// otherwise failed hosts drop out.
    StopAbove(u8),
    /// Lanes that have not started are skipped; the run ends at the barrier.
    StopAtOnce,
}

/// One host's part of a stage; its steps run in order and stop at the first failure.
#[derive(Debug, Clone)]
pub struct Lane {
    /// Host that runs the steps.
    pub host: HostName,
    /// Steps, in order.
    pub steps: Vec<Step>,
}

/// One operation with its title.
#[derive(Debug, Clone)]
pub struct Step {
    /// Unique in the plan.
    pub id: StepId,
    /// Shown to users, such as `key manager km1: write deployment.toml`.
    pub title: String,
    /// The work to do.
    pub work: Work,
    /// The node that it belongs to, if any.
    pub node: Option<NodeName>,
    /// Pool (role name) that grants the permit to take the node down; `None`: no permit required.
    pub budget: Option<String>,
    /// Whether success shows that `node` is healthy and returns its permit.
    pub proves_health: bool,
    /// How the step is run and shown.
    pub options: StepOptions,
    /// Steps that run for its node after it has failed: in order, up to the first that does not
    /// succeed. The step still counts as failed.
    pub rescue: Vec<Step>,
}

impl Step {
    /// Returns the operation for the host's agent; `None` for local tasks.
    #[must_use]
    pub const fn operation(&self) -> Option<&Operation> {
        self.work.operation()
    }

    /// Returns the operation for a check by the agent; `None` if the agent cannot check it.
    #[must_use]
    pub fn look(&self) -> Option<Job> {
        self.work.look()
    }

    /// Returns the query that the host's agent answers, if the step is one.
    #[must_use]
    pub const fn query(&self) -> Option<&Query> {
        self.work.query()
    }

    /// Returns the contents that the operation uses. A host may request only these.
    pub fn contents(&self) -> impl Iterator<Item = Content> {
        self.operation().map(Operation::contents).unwrap_or_default().into_iter()
    }
}

/// Content by digest.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Source of each content.
    pub sources: BTreeMap<Sha256, ContentSource>,
}

/// Source of content.
#[derive(Debug, Clone)]
pub enum ContentSource {
    /// In memory (configuration, small files).
    Bytes(Arc<[u8]>),
    /// In a local file that was verified to have the digest (distributions).
    File(PathBuf),
}

impl Contents {
    /// Adds bytes and returns their content id.
    pub fn add(&mut self, bytes: impl Into<Arc<[u8]>>) -> Content {
        let bytes = bytes.into();
        let content = Content::of(&bytes);
        self.sources.insert(content.sha256, ContentSource::Bytes(bytes));
        content
    }
}
