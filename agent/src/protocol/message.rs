//! What the two ends say to each other.

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::observation::LogEntry;
use crate::operation::archive::part::Part;
use crate::operation::{Mode, Operation};
use crate::outcome::Outcome;
use crate::value::{Content, Sha256, UnitName};

/// Names a step within one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

/// From the orchestrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Says who is there; the first message. The agent answers Hello once it holds the host's lock (with `lock`) or at once.
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
        /// Its outline, which may now be asked for like any content; `None` when there is none.
        outline: Option<Content>,
    },
    /// Answers Ask.
    Leave {
        /// The asking step.
        step: StepId,
        /// `None` grants it; a text refuses it and says why.
        refused: Option<String>,
    },
    /// Start no further step; answer the queued ones with `Skipped`.
    Cancel,
    /// Forget an earlier failure: steps that follow are run again.
    Resume,
    /// Nothing more will come: finish the queue and leave.
    Goodbye,
    /// The orchestrator lives. From the first of these on, an agent that hears nothing at all for `within_secs` takes it for
    /// gone: it finishes the step in hand and leaves, so that a cut network does not hold the host's lock for hours.
    Alive {
        /// Within how many seconds the next word comes, at the latest.
        within_secs: u32,
    },
}

/// Who opens the session, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The run's id, for the lock and the journal.
    pub run: String,
    /// Who runs it and from where (`user@machine`), for the lock's message.
    pub operator: String,
    /// What it does, for the lock's message (`apply site.yaml`).
    pub purpose: String,
    /// Whether the host's lock is taken (not needed to look only).
    pub lock: bool,
    /// Whether the run goes on after a lost link: Hello then says which of its steps have ended on the host.
    #[serde(default)]
    pub again: bool,
    /// Whether it stands beside another session of the same run: the lock that this one holds serves both.
    #[serde(default)]
    pub beside: bool,
}

/// One step of a lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its name in this run.
    pub step: StepId,
    /// Its title, for the journal.
    pub title: String,
    /// Look, or change.
    pub mode: Mode,
    /// What.
    pub operation: Operation,
    /// Whether later steps run although this one failed.
    pub ignore_failure: bool,
}

/// From the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The agent is ready.
    Hello(Box<Hello>),
    /// The agent cannot serve, and leaves: another run holds the host.
    Refused(Refused),
    /// A step began.
    Started {
        /// Which.
        step: StepId,
    },
    /// How far a step is.
    Progress {
        /// Which.
        step: StepId,
        /// At what, such as `unpacking` or `waiting: HTTP 200 from …`.
        what: String,
        /// Units done.
        done: u64,
        /// Units in all; 0 when unknown.
        total: u64,
    },
    /// Entries of a log.
    Entries {
        /// The step that tells them.
        step: StepId,
        /// In the log's order.
        entries: Vec<LogEntry>,
        /// Whether they were written just now; the first of these, which may be empty, says that all that was there has been told.
        is_live: bool,
    },
    /// Send these bytes, from `offset` on (an interrupted upload goes on).
    Need {
        /// The step that wants them.
        step: StepId,
        /// Which.
        sha256: Sha256,
        /// How many in all.
        size: u64,
        /// How many the host has.
        offset: u64,
    },
    /// Is there an outline of this zip? Much of what is in it may be on the host already.
    Outline {
        /// The step that wants it.
        step: StepId,
        /// The zip.
        sha256: Sha256,
    },
    /// Send these parts of a content, one behind the other, as chunks whose offsets count from the first byte of the first part.
    NeedParts {
        /// The step that wants them.
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
    /// May I take down this unit?
    Ask {
        /// The asking step.
        step: StepId,
        /// The unit.
        unit: UnitName,
        /// Why.
        reason: String,
    },
    /// A step ended.
    Finished {
        /// Which.
        step: StepId,
        /// How.
        outcome: Outcome,
        /// How long it took, in milliseconds.
        millis: u64,
    },
    /// The queue is finished and the agent leaves.
    Bye,
}

/// The agent introduces itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The digest of the agent's own executable.
    pub build: String,
    /// What it sees of its host.
    pub facts: Facts,
    /// Where the run goes on after a lost link: which of its steps ended, changed or failed, as the journal tells.
    #[serde(default)]
    pub done: Vec<Done>,
}

/// A step that ended in an earlier session of the same run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Which.
    pub step: StepId,
    /// How; without what the journal does not keep, such as diffs.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// Who is in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// One sentence: who holds the host, from where, since when, doing what.
    pub why: String,
}
