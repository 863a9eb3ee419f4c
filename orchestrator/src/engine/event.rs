//! What happens in a run. The reporter is the only reader; nothing here holds a secret.

use std::time::Duration;

use apim_protocol::facts::Facts;
use apim_protocol::message::StepId;
use apim_protocol::outcome::Outcome;

use crate::inventory::host::HostName;

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run began.
    RunStarted {
        /// `apply`, `plan`, …
        verb: &'static str,
        /// All hosts of the plan.
        hosts: Vec<HostName>,
        /// How many steps in all.
        steps: usize,
    },
    /// Connecting began.
    Connecting(HostName),
    /// The agent said hello.
    Connected(HostName, Box<Facts>),
    /// A host could not be reached, or its link broke.
    Unreachable(HostName, String, Option<String>),
    /// The link to a host was lost and is being made again: why it was lost.
    Reconnecting(HostName, String),
    /// A host is being looked at, before anything is changed: how many steps.
    Surveying(HostName, usize),
    /// A host was looked at: how many of its steps differ from the wish.
    Surveyed(HostName, usize),
    /// A stage began (index from 0).
    StageStarted(usize, String),
    /// A stage ended.
    StageFinished(usize, Duration),
    /// A step began.
    StepStarted(HostName, StepId, String),
    /// How far a step is: what, done, total (0 unknown).
    StepProgress(HostName, StepId, String, u64, u64),
    /// Bytes of content sent to a host for a step: done, total.
    Sending(HostName, StepId, u64, u64),
    /// A step waits for leave to take a node down: who is down already.
    WaitingForLeave(HostName, StepId, String),
    /// The wait for leave is over.
    LeaveDecided(HostName, StepId),
    /// A step ended.
    StepFinished(HostName, StepId, String, Outcome, Duration),
    /// A request that is sent to the cluster's service meanwhile has no good answer, after one that had: the URL, why, and what the
    /// run was doing.
    ProbeFailed {
        /// The URL.
        url: String,
        /// Why.
        why: String,
        /// What the run was doing.
        doing: String,
    },
    /// The service answers again.
    ProbeAnswers {
        /// The URL.
        url: String,
        /// How long there was no good answer.
        gap: Duration,
        /// How many requests failed meanwhile.
        failed: u64,
    },
    /// So many requests were sent to the cluster's service until now, and so many failed.
    Probed {
        /// Sent.
        sent: u64,
        /// Failed.
        failed: u64,
    },
    /// Words for the user that belong to no step (a warning, a note).
    Note(Level, String),
    /// The user asked to stop.
    Interrupted,
    /// The run ended.
    RunFinished(Duration),
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Info,
    /// Worth reading.
    Warning,
}
