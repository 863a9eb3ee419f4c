//! How a run is to be done: look or change, how much at once, how long to wait, who does it.

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
use crate::inventory::host::HostName;
use crate::plan::model::Hook;

/// How a run is to be done.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Look, or change.
    pub mode: Mode,
    /// What the user called for, such as `apply`; shown, and written into events.
    pub verb: &'static str,
    /// How many hosts are worked on at once (connections opened, lanes run).
    pub forks: usize,
    /// How many uploads of content run at once.
    pub uploads: usize,
    /// How many nodes of a pool may be down at once.
    pub limits: Limits,
    /// The run's id, for locks and journals.
    pub run: String,
    /// Who runs it and from where, for the lock's message.
    pub operator: String,
    /// What it does, for the lock's message (`apply site.yaml`).
    pub purpose: String,
    /// How long to wait for what.
    pub patience: Patience,
    /// Who judges what was seen, before anything is changed.
    pub judge: Option<Judge>,
    /// Who confirms that what was seen is what was expected, before anything is changed.
    pub confirm: Option<Confirm>,
    /// Who makes outlines of zips, so that hosts with a former release are sent only what they lack; without one zips go whole.
    pub outliner: Option<Outliner>,
    /// Who calls hooks that are called from this machine.
    pub hooks: Option<Caller>,
    /// Somebody outside who may stop the rollout, and says why: no further healthy node is taken down then.
    pub halt: Option<watch::Receiver<Option<String>>>,
}

/// Calls hooks that are called from this machine.
pub trait CallHooks: Send + Sync + 'static {
    /// Calls one, once; within its time. The error says what went wrong, and whether to try again makes sense.
    fn call<'a>(&'a self, hook: &'a Hook) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>>;
}

/// Why a hook did not do what it should.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What went wrong, and what it said.
    pub failure: Failure,
    /// Whether it may work the next time.
    pub may_pass: bool,
}

/// Who calls hooks.
#[derive(Clone)]
pub struct Caller(pub Arc<dyn CallHooks>);

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Caller")
    }
}

/// What a host answered to one step's questions.
#[derive(Debug, Clone)]
pub struct Testimony {
    /// The step.
    pub step: StepId,
    /// Whose.
    pub host: HostName,
    /// What the host says of itself.
    pub facts: Option<Facts>,
    /// The answers, or why there are none.
    pub answers: Result<Vec<Answer>, String>,
    /// When they were heard.
    pub heard: Option<SystemTime>,
    /// The nodes of the host that are to move to another release: the title of the step, and from where to where.
    pub moves: Vec<(String, ReleaseChange)>,
}

/// What somebody makes of the answers of all hosts together.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// The steps that fail for it, and why; when there is one nothing is changed anywhere.
    pub failures: Vec<(StepId, Failure)>,
    /// What is worth knowing all the same.
    pub warnings: Vec<String>,
}

/// What a judge does.
pub type Judging = dyn Fn(&[Testimony]) -> Verdict + Send + Sync;

/// Judges the answers of all hosts together.
#[derive(Clone)]
pub struct Judge(pub Arc<Judging>);

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Judge")
    }
}

/// What a look at all hosts found.
#[derive(Debug)]
pub struct Surveyed {
    /// How each step was found that was looked at.
    pub outcomes: BTreeMap<StepId, Outcome>,
    /// What the hosts say of themselves that were reached.
    pub facts: BTreeMap<HostName, Facts>,
}

/// What stands against going on, a line each; nothing when the run may go on.
pub type Confirming = dyn Fn(&Surveyed) -> Vec<String> + Send + Sync;

/// Asked once all hosts were looked at, before anything is changed: whether what was found is what was expected.
#[derive(Clone)]
pub struct Confirm(pub Arc<Confirming>);

impl std::fmt::Debug for Confirm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Confirm")
    }
}

/// What an outliner does with a zip: its digest and where it is become where its outline is, and the outline's name as content;
/// `None` for a zip that has none, and a sentence when it failed. It may take seconds.
pub type Outlining = dyn Fn(Sha256, &Path) -> Result<Option<(PathBuf, Content)>, String> + Send + Sync;

/// Makes outlines of zips.
#[derive(Clone)]
pub struct Outliner(pub Arc<Outlining>);

impl std::fmt::Debug for Outliner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outliner")
    }
}

/// How long the engine waits, and for what. Steps bring deadlines of their own; these come on top.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Until a host is connected and its agent is started.
    pub connect: Duration,
    /// Until the agent says hello.
    pub hello: Duration,
    /// Until another run lets go of a host.
    pub lock: Duration,
    /// Until a lost link is up again.
    pub reconnect: Duration,
    /// Without a sign from a host in the middle of a step, until the user is told what is awaited.
    pub notice: Duration,
    /// Without a sign from a host, beyond a step's own deadline, until the link counts as lost.
    pub silence: Duration,
    /// Until the agent has said goodbye.
    pub goodbye: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            // An agent of 5 MB over a slow line, a jump host and a sudo that asks a directory service.
            connect: Duration::from_secs(120),
            hello: Duration::from_secs(30),
            // A run that was killed leaves an agent behind that finishes the step in hand.
            lock: Duration::from_secs(60),
            reconnect: Duration::from_secs(60),
            notice: Duration::from_secs(60),
            // Hashing and unpacking big archives tell their progress; nothing is quiet for this long.
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
            patience: Patience::default(),
            judge: None,
            confirm: None,
            outliner: None,
            hooks: None,
            halt: None,
        }
    }
}

/// How far the user wants the run to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Interrupt {
    /// Not at all.
    #[default]
    None,
    /// Start nothing more; let the steps in hand finish.
    Finish,
    /// Leave at once.
    Leave,
}
