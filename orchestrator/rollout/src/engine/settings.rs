//! Settings of a run: mode, parallelism, timeouts and callbacks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use apim_protocol::facts::Facts;
use apim_protocol::message::StepId;
use apim_protocol::observation::Answer;
use apim_protocol::operation::Mode;
use apim_protocol::outcome::ReleaseChange;
use apim_protocol::outcome::{Failure, Outcome};
use apim_protocol::value::{Content, Sha256};

use tokio::sync::watch;

use super::budget::Limits;
use apim_product::NodeName;
use apim_product::hook::Hook;
use apim_transport::host::HostName;

/// Settings of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Check or apply.
    pub mode: Mode,
    /// The command, such as `apply`; shown, and written into events.
    pub verb: &'static str,
    /// Number of hosts in progress at once (connections and lanes).
    pub forks: usize,
    /// Number of content uploads at once.
    pub uploads: usize,
    /// How many nodes of a pool may be down at once.
    pub limits: Limits,
    /// The run's id, for locks and journals.
    pub run: String,
    /// User and machine that run it, for the lock message.
    pub operator: String,
    /// Description of the run for the lock message (`apply site.yaml`).
    pub purpose: String,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Preflight rules, evaluated before the first change.
    pub judge: Option<Preflight>,
    /// Compares the survey with a saved plan before the first change.
    pub confirm: Option<Confirm>,
    /// Creates outlines of zips, so that hosts with an earlier release receive only the missing
    /// parts. `None`: zips are sent whole.
    pub outliner: Option<Outliner>,
    /// Calls hooks from the control machine.
    pub hooks: Option<Caller>,
    /// Halts the rollout when a reason is set. No further healthy node is taken down then.
    pub halt: Option<watch::Receiver<Option<String>>>,
}

/// Calls hooks from the control machine.
pub trait CallHooks: Send + Sync + 'static {
    /// Calls a hook once, within its timeout. The error says whether a retry makes sense.
    fn call<'a>(&'a self, hook: &'a Hook) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>>;
}

/// Why a hook failed.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The failure, with the output of the hook.
    pub failure: Failure,
    /// Whether a retry may succeed.
    pub may_pass: bool,
}

/// A [`CallHooks`] implementation.
#[derive(Clone)]
pub struct Caller(pub Arc<dyn CallHooks>);

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Caller")
    }
}

/// Answers of a host to the questions of one step.
#[derive(Debug, Clone)]
pub struct HostAnswers {
    /// The step.
    pub step: StepId,
    /// The host that answered.
    pub host: HostName,
    /// Facts of the host, if it was reached.
    pub facts: Option<Facts>,
    /// The answers, or why there are none.
    pub answers: Result<Vec<Answer>, String>,
    /// When the answers were received.
    pub heard: Option<SystemTime>,
    /// Release changes of the host's nodes.
    pub moves: Vec<(NodeName, ReleaseChange)>,
}

/// Result of the preflight over the answers of all hosts.
#[derive(Debug, Clone, Default)]
pub struct PreflightResult {
    /// Steps that fail the preflight. If there is one, nothing is changed on any host.
    pub failures: Vec<(StepId, Failure)>,
    /// Warnings that do not stop the run.
    pub warnings: Vec<String>,
}

/// Function of a [`Preflight`].
pub type PreflightRules = dyn Fn(&[HostAnswers]) -> PreflightResult + Send + Sync;

/// Evaluates the answers of all hosts together.
#[derive(Clone)]
pub struct Preflight(pub Arc<PreflightRules>);

impl std::fmt::Debug for Preflight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Preflight")
    }
}

/// Result of the survey.
#[derive(Debug)]
pub struct Surveyed {
    /// Check result of each step.
    pub outcomes: BTreeMap<StepId, Outcome>,
    /// Facts of the hosts that were reached.
    pub facts: BTreeMap<HostName, Facts>,
}

/// Returns the differences that stop the run, one line each; empty to continue.
pub type Confirming = dyn Fn(&Surveyed) -> Vec<String> + Send + Sync;

/// Called after the survey, before the first change: compares the survey with the expected state.
#[derive(Clone)]
pub struct Confirm(pub Arc<Confirming>);

impl std::fmt::Debug for Confirm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Confirm")
    }
}

/// Creates the outline of a zip from its digest and path. Returns the path and content id of the
/// outline, or `None` if the zip has none. May take seconds.
pub type Outlining = dyn Fn(Sha256, &Path) -> Result<Option<(PathBuf, Content)>, String> + Send + Sync;

/// Creates outlines of zips.
#[derive(Clone)]
pub struct Outliner(pub Arc<Outlining>);

impl std::fmt::Debug for Outliner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outliner")
    }
}

/// Timeouts of the engine. Deadlines of steps are added to them.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// Until a host is connected and its agent is started.
    pub connect: Duration,
    /// Until the agent answers.
    pub hello: Duration,
    /// Until another run releases a host.
    pub lock: Duration,
    /// Until a lost link is up again.
    pub reconnect: Duration,
    /// Without a reply during a step, until the user is notified.
    pub notice: Duration,
    /// Without a reply beyond the step's own deadline, until the link counts as lost.
    pub silence: Duration,
    /// Until the agent has closed the session.
    pub goodbye: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // An agent of 5 MB over a slow line, a jump host and a sudo that asks a directory
            // service.
            connect: Duration::from_secs(120),
            hello: Duration::from_secs(30),
            // A killed run leaves an agent behind that finishes the current step.
            lock: Duration::from_secs(60),
            reconnect: Duration::from_secs(60),
            notice: Duration::from_secs(60),
            // Hashing and unpacking big archives report progress. No operation is silent for this
            // long.
            silence: Duration::from_secs(600),
            goodbye: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// Returns settings for `mode` with the defaults for everything else.
    #[must_use]
    pub fn new(mode: Mode, verb: &'static str) -> Self {
        Self {
            mode,
            verb,
            forks: 50,
            uploads: 8,
            limits: Limits::default(),
            run: String::new(),
            operator: String::new(),
            purpose: String::new(),
            timeouts: Timeouts::default(),
            judge: None,
            confirm: None,
            outliner: None,
            hooks: None,
            halt: None,
        }
    }
}

/// How urgently the user wants to stop the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Interrupt {
    /// Not at all.
    #[default]
    None,
    /// Start nothing new; let the current steps finish.
    Finish,
    /// Quit immediately.
    Quit,
}
