//! The lines of run records and of the register. Times are UTC.

use std::collections::BTreeMap;
use std::path::PathBuf;

use apim_protocol::value::Sha256;
use serde::{Deserialize, Serialize};

use apim_rollout::probe::Sum;

/// A line of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Digest of the preceding line; none in the first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Sha256>,
    /// Time, UTC.
    pub at: String,
    /// The event.
    #[serde(flatten)]
    pub what: Entry,
}

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Entry {
    /// The run started; no host was contacted yet.
    Begun(Box<Begun>),
    /// The plan was created.
    Planned(Planned),
    /// A host was connected.
    Connected {
        /// Inventory name of the host.
        host: String,
        /// Host name reported by the host.
        hostname: String,
    },
    /// A host was unreachable, or its connection was lost.
    Unreachable {
        /// Inventory name of the host.
        host: String,
        /// The cause.
        why: String,
    },
    /// A host was checked.
    Surveyed {
        /// Inventory name of the host.
        host: String,
        /// Number of pending changes.
        differ: usize,
    },
    /// A stage started.
    Stage {
        /// Index, from 0.
        stage: usize,
        /// Title in the plan.
        title: String,
    },
    /// A step finished.
    Step {
        /// Inventory name of the host.
        host: String,
        /// Number in the plan.
        step: u32,
        /// Title in the plan.
        title: String,
        /// `ok`, `changed`, `skipped`, `failed`.
        outcome: String,
        /// Changes, or the reason for a failure or skip.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        detail: Vec<String>,
        /// Duration in seconds.
        seconds: f64,
    },
    /// A command of `exec` finished.
    Ran {
        /// Hosts with this result.
        hosts: Vec<String>,
        /// The result, such as `exit status 0`.
        ended: String,
    },
    /// A warning or note.
    Note {
        /// The message.
        text: String,
    },
    /// The user interrupted the run.
    Interrupted,
    /// The run finished.
    Ended(Ended),
}

/// The start of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// Id of the run, also used in the journals of the hosts.
    pub run: String,
    /// The verb, such as `apply`.
    pub verb: String,
    /// The playbook; for `exec`, the command with secrets redacted.
    pub playbook: String,
    /// The flags, without values that may be secret.
    pub flags: Vec<String>,
    /// `user@machine` that started the run.
    pub operator: String,
    /// Version of apim-deploy.
    pub version: String,
    /// Absolute path of the inventory.
    pub inventory: PathBuf,
    /// Keyed digests of the inventory and playbook files.
    pub files: BTreeMap<String, Sha256>,
}

/// A summary of the plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// Keyed digest of all steps; equal plans have equal digests.
    pub plan: Option<Sha256>,
    /// Inventory names of all hosts.
    pub hosts: Vec<String>,
    /// Titles of the stages.
    pub stages: Vec<String>,
    /// Number of steps.
    pub steps: usize,
}

/// The result of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// The exit code.
    pub code: u8,
    /// Number of steps that changed something.
    pub changed: usize,
    /// Duration in seconds.
    pub seconds: f64,
    /// Results by host.
    #[serde(default)]
    pub hosts: BTreeMap<String, HostSum>,
    /// Why the run ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Results of the availability probes (`--probe`), by URL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Sum>,
}

/// The result of one host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostSum {
    /// `done`, `failed`, `unreachable`, `stopped`.
    pub state: String,
    /// Number of unchanged steps.
    pub ok: usize,
    /// Number of changed steps.
    pub changed: usize,
    /// Number of skipped steps.
    pub skipped: usize,
    /// Number of failed steps.
    pub failed: usize,
}

/// A line of the register.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Registered {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Sha256>,
    pub(super) at: String,
    pub(super) run: String,
    #[serde(flatten)]
    pub(super) what: Moment,
}

/// The start or the end of a run, as registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Moment {
    Begun { verb: String, playbook: String, operator: String, inventory: PathBuf, first: Sha256 },
    Ended { code: u8, changed: usize, seconds: f64, last: Sha256 },
}
