//! What is in a record, line by line, and in the register. Times are UTC.

use std::collections::BTreeMap;
use std::path::PathBuf;

use apim_protocol::value::Sha256;
use serde::{Deserialize, Serialize};

use crate::probing::Sum;

/// One line of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The digest of the line before it; none in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Sha256>,
    /// When.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub what: Entry,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Entry {
    /// The run began: nothing was contacted yet.
    Begun(Box<Begun>),
    /// What is to be done was known.
    Planned(Planned),
    /// A host was reached.
    Connected {
        /// Which.
        host: String,
        /// Its own name.
        hostname: String,
    },
    /// A host was not reached, or lost.
    Unreachable {
        /// Which.
        host: String,
        /// Why.
        why: String,
    },
    /// A host was looked at.
    Surveyed {
        /// Which.
        host: String,
        /// How many of its steps were to be done.
        differ: usize,
    },
    /// A stage began.
    Stage {
        /// Its place, from 0.
        stage: usize,
        /// Its title.
        title: String,
    },
    /// A step ended.
    Step {
        /// Where.
        host: String,
        /// Its number in the plan.
        step: u32,
        /// Its title.
        title: String,
        /// `ok`, `changed`, `skipped`, `failed`.
        outcome: String,
        /// What was changed, or why it failed or was left out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        detail: Vec<String>,
        /// How long it took.
        seconds: f64,
    },
    /// A command that somebody asked for ended.
    Ran {
        /// On these hosts.
        hosts: Vec<String>,
        /// In this way.
        ended: String,
    },
    /// A warning or a remark.
    Note {
        /// The words.
        text: String,
    },
    /// The user asked to stop.
    Interrupted,
    /// The run ended.
    Ended(Ended),
}

/// Who began what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The run's id; it is in the journals of the hosts too.
    pub run: String,
    /// `apply`, …
    pub verb: String,
    /// The playbook; the command of `exec`, without its secrets.
    pub playbook: String,
    /// Flags, without values that may be secret.
    pub flags: Vec<String>,
    /// Who, where.
    pub operator: String,
    /// The program's version.
    pub version: String,
    /// The inventory, as an absolute path.
    pub inventory: PathBuf,
    /// The keyed digests of its files and of the playbook's.
    pub files: BTreeMap<String, Sha256>,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The keyed digest of all steps: the same plan, the same digest.
    pub plan: Option<Sha256>,
    /// All hosts.
    pub hosts: Vec<String>,
    /// The stages' titles.
    pub stages: Vec<String>,
    /// How many steps.
    pub steps: usize,
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// The exit code.
    pub code: u8,
    /// How many steps changed something.
    pub changed: usize,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// By host.
    #[serde(default)]
    pub hosts: BTreeMap<String, HostSum>,
    /// Why it ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What came of the requests that were sent meanwhile (`--probe`), by URL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Sum>,
}

/// What came of a host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostSum {
    /// `done`, `failed`, `unreachable`, `stopped`.
    pub state: String,
    /// Counts of outcomes.
    pub ok: usize,
    /// Changed.
    pub changed: usize,
    /// Left out.
    pub skipped: usize,
    /// Failed.
    pub failed: usize,
}

/// One line of the register.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Registered {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Sha256>,
    pub(super) at: String,
    pub(super) run: String,
    #[serde(flatten)]
    pub(super) what: Moment,
}

/// Which end of a record is registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Moment {
    Begun { verb: String, playbook: String, operator: String, inventory: PathBuf, first: Sha256 },
    Ended { code: u8, changed: usize, seconds: f64, last: Sha256 },
}
