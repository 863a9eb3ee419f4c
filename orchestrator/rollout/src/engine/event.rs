//! Events of a run. The reporter is the only reader. Events contain no secrets.

use std::time::Duration;

use apim_protocol::facts::Facts;
use apim_protocol::message::StepId;
use apim_protocol::outcome::{Failure, Outcome};

use apim_transport::host::HostName;

/// One event.
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
    /// The agent answered.
    Connected(HostName, Box<Facts>),
    /// A host could not be reached, or its link broke.
    Unreachable {
        /// The host.
        host: HostName,
        /// The reason.
        failure: Failure,
    },
    /// The link to a host was lost and is being reopened: the reason.
    Reconnecting(HostName, String),
    /// The survey of a host began: number of steps.
    Surveying(HostName, usize),
    /// The survey of a host ended: number of steps that differ from the desired state.
    Surveyed(HostName, usize),
    /// A stage began (index from 0).
    StageStarted(usize, String),
    /// A stage ended.
    StageFinished(usize, Duration),
    /// A step began.
    StepStarted(HostName, StepId, String),
    /// Progress of a step: current action, done, total (0 if unknown).
    StepProgress(HostName, StepId, String, u64, u64),
    /// Bytes of content sent to a host for a step: done, total.
    Sending(HostName, StepId, u64, u64),
    /// A step waits for a permit to take a node down: the nodes that are down already.
    WaitingForLeave(HostName, StepId, String),
    /// The wait for the permit is over.
    LeaveDecided(HostName, StepId),
    /// A step ended.
    StepFinished(HostName, StepId, String, Outcome, Duration),
    /// A probe request failed after a successful one.
    ProbeFailed {
        /// The URL.
        url: String,
        /// The reason.
        why: String,
        /// Activity of the run when the request was sent.
        doing: String,
    },
    /// The service answers again.
    ProbeAnswers {
        /// The URL.
        url: String,
        /// Time without a successful response.
        gap: Duration,
        /// Requests that failed in that time.
        failed: u64,
    },
    /// Running totals of the probe requests.
    Probed {
        /// Sent.
        sent: u64,
        /// Failed.
        failed: u64,
    },
    /// A message for the user that belongs to no step.
    Note(Level, String),
    /// The user asked to stop.
    Interrupted,
    /// The run ended.
    RunFinished(Duration),
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Information only.
    Info,
    /// Possible problem.
    Warning,
}
