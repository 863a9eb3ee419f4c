//! The messages between orchestrator and agent.

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::observation::LogEntry;
use crate::operation::archive::part::Part;
use crate::operation::{Mode, Operation};
use crate::outcome::Outcome;
use crate::query::Query;
use crate::value::{Content, Sha256, UnitName};

/// Names a step within one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

/// From the orchestrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Opens the session; the first message. The agent answers Hello, with `lock` once it holds the host's lock.
    Open(Open),
    /// Queue one operation.
    Run(Box<Run>),
    /// The bytes asked for cannot be sent, and why.
    NoContent {
        /// Which.
        sha256: Sha256,
        /// Why not.
        why: String,
    },
    /// Answers Outline.
    Outline {
        /// The zip.
        sha256: Sha256,
        /// Its outline, which can now be requested like any content; `None` when it has none.
        outline: Option<Content>,
    },
    /// Answers PermitRequest.
    PermitDecision {
        /// The step that requests the permit.
        step: StepId,
        /// `None` grants the permit; a text is the reason of a refusal.
        refused: Option<String>,
    },
    /// Start no further step; answer the queued ones with `Skipped`.
    Cancel,
    /// Clear an earlier failure: the following steps run again.
    Resume,
    /// Nothing more will come: finish the queue and exit.
    Goodbye,
    /// A heartbeat. From the first of these on, an agent that receives nothing for `within_secs` treats the link as lost: it
    /// finishes the step in progress and exits, so that a cut network does not hold the host's lock for hours.
    Alive {
        /// Seconds within which the next message comes.
        within_secs: u32,
    },
}

/// Opens a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The run's id, for the lock and the journal.
    pub run: String,
    /// The operator (`user@machine`), for the lock's message.
    pub operator: String,
    /// The command, for the lock's message (`apply site.yaml`).
    pub purpose: String,
    /// Whether the host's lock is taken; not needed for queries and checks.
    pub lock: bool,
    /// Whether the run resumes after a lost link: Hello then lists the steps that have ended on the host.
    #[serde(default)]
    pub again: bool,
    /// Whether it may run under the lock that another session of the same run holds.
    #[serde(default)]
    pub shares_lock: bool,
}

/// One step of a lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id in this run.
    pub step: StepId,
    /// Its title, for the journal.
    pub title: String,
    /// What the agent does.
    pub job: Job,
    /// Whether later steps run although this one failed.
    pub ignore_failure: bool,
}

/// What the agent does in one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly all jobs are operations, and `Run` is boxed")]
pub enum Job {
    /// Observe. The host stays as it is.
    Query(Query),
    /// Check, or converge.
    Operation {
        /// Part of the desired state.
        operation: Operation,
        /// Whether changes may be made.
        mode: Mode,
    },
}

impl Job {
    /// Returns a check of `operation`.
    #[must_use]
    pub const fn check(operation: Operation) -> Self {
        Self::Operation { operation, mode: Mode::Check }
    }

    /// Says whether it may change the host.
    #[must_use]
    pub const fn may_change(&self) -> bool {
        matches!(self, Self::Operation { mode: Mode::Apply, .. })
    }

    /// Returns the operation, if it is one.
    #[must_use]
    pub const fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Operation { operation, .. } => Some(operation),
            Self::Query(_) => None,
        }
    }
}

impl From<Query> for Job {
    fn from(query: Query) -> Self {
        Self::Query(query)
    }
}

/// From the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The agent is ready.
    Hello(Box<Hello>),
    /// The agent exits: another run holds the host's lock.
    Refused(Refused),
    /// A step has started.
    Started {
        /// Which.
        step: StepId,
    },
    /// Progress of a step.
    Progress {
        /// Which.
        step: StepId,
        /// The activity, such as `unpacking` or `waiting: HTTP 200 from …`.
        what: String,
        /// Units done.
        done: u64,
        /// Units in all; 0 when unknown.
        total: u64,
    },
    /// Entries of a log.
    Entries {
        /// The step that follows the log.
        step: StepId,
        /// In the log's order.
        entries: Vec<LogEntry>,
        /// Whether they are new. The first live message, which may be empty, marks the end of the existing entries.
        is_live: bool,
    },
    /// Send these bytes from `offset` on (an interrupted upload is resumed).
    Need {
        /// The step that needs them.
        step: StepId,
        /// Which.
        sha256: Sha256,
        /// How many in all.
        size: u64,
        /// How many the host has.
        offset: u64,
    },
    /// Send the outline of this zip. Many of its files may already exist on the host.
    Outline {
        /// The step that needs it.
        step: StepId,
        /// The zip.
        sha256: Sha256,
    },
    /// Send these parts of a content, concatenated, as chunks whose offsets count from the first byte of the first part.
    NeedParts {
        /// The step that needs them.
        step: StepId,
        /// Of which content.
        sha256: Sha256,
        /// How many bytes the content has in all.
        size: u64,
        /// Which, in order.
        parts: Vec<Part>,
        /// How many of their bytes the host has.
        offset: u64,
    },
    /// Requests a permit to take down this unit.
    PermitRequest {
        /// The step that requests the permit.
        step: StepId,
        /// The unit.
        unit: UnitName,
        /// Why.
        reason: String,
    },
    /// A step has ended.
    Finished {
        /// Which.
        step: StepId,
        /// How.
        outcome: Outcome,
        /// In milliseconds.
        millis: u64,
    },
    /// The queue is finished and the agent exits.
    Bye,
}

/// The agent's build and host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The digest of the agent's own executable.
    pub build: String,
    /// Facts of the host.
    pub facts: Facts,
    /// After a lost link: the steps of the run that ended as changed or failed, from the journal.
    #[serde(default)]
    pub done: Vec<Done>,
}

/// A step that ended in an earlier session of the same run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Which.
    pub step: StepId,
    /// Without what the journal does not keep, such as diffs.
    pub outcome: Outcome,
    /// In milliseconds.
    pub millis: u64,
}

/// Another run holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// One sentence: operator, machine, duration and purpose of the other run.
    pub why: String,
}
