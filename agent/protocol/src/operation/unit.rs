//! A service: its systemd unit file, enabled or not, running or not, restarted when its inputs change.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content, UnitName};

/// The service `name` is in the desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The systemd name, without `.service`.
    pub name: UnitName,
    /// The text of `/etc/systemd/system/NAME.service`; `None` for a unit that is there already.
    pub file: Option<Content>,
    /// Whether it starts at boot; `None` leaves that.
    pub enabled: Option<bool>,
    /// What it should be doing.
    pub state: State,
    /// What it runs with: label (for people, such as `configuration`) to digest. Another digest means a restart is due, and the label says why.
    pub inputs: BTreeMap<String, String>,
    /// Files that it reads at start, and only then: when it may have read one with a manual edit, a restart is due.
    pub watch: Vec<AbsPath>,
    /// Its log file; the length at each start is kept, for what asks "since this start".
    pub log: Option<AbsPath>,
    /// The line by which it says that it is up; one that is up for long and has not said so is stuck, and is restarted.
    #[serde(default)]
    pub ready: Option<Ready>,
    /// How its process is recognized.
    pub process: ProcessMatch,
    /// Seconds from TERM until KILL.
    pub stop_timeout_secs: u64,
    /// Whether leave is asked before a running unit is stopped or restarted.
    pub ask: bool,
    /// How to start and stop it where systemd is not to be had; `None` makes that a failure.
    pub script: Option<Script>,
    /// The folder that it runs from, where there are several side by side.
    #[serde(default)]
    pub release: Option<Release>,
}

/// How a service says that it is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// A regular expression for the line of its log.
    pub pattern: String,
    /// A start that has not come to it within so many seconds has failed.
    pub within_secs: u64,
}

/// What a service should be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Running with its present inputs.
    Started,
    /// Running, however it was started: it is never restarted.
    Running,
    /// Not running.
    Stopped,
    /// Not running, not started at boot, and its file is gone where it is ours: it is what `file` names, or we have started the unit.
    Gone,
    /// As it is: only the file and `enabled` are seen to, and a restart that is due stays due.
    Unchanged,
}

/// The texts that the command line of the service's own process holds, all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMatch {
    /// Each must be an argument, or be contained in one. Empty matches nothing.
    pub arguments: Vec<String>,
}

/// A service without systemd: a foreground command kept in a session of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The command that runs the service in the foreground.
    pub argv: Vec<String>,
    /// Its working directory.
    pub directory: Option<AbsPath>,
    /// Its environment (no secrets: it can be read in `/proc`).
    pub environment: BTreeMap<String, String>,
    /// The account to run as.
    pub run_as: Option<String>,
    /// The service's pid file, which may be stale or padded; a hint only.
    pub pid_file: Option<AbsPath>,
}

/// The folder that a service runs from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The folder; its parent contains the other releases too.
    pub folder: AbsPath,
    /// The link that names the one in use.
    pub link: AbsPath,
    /// What the service itself makes below its folder and needs again: relative paths of files and folders, `*` at the end for all names
    /// that begin so. Copied from the release used before to one that was never up.
    pub keeps: Vec<String>,
    /// The most bytes that are copied.
    pub max_bytes: u64,
}

impl Describe for Unit {
    fn contents(&self) -> Vec<Content> {
        self.file.into_iter().collect()
    }

    fn is_host_local(&self) -> bool {
        true
    }

    fn own_deadline(&self) -> Duration {
        Duration::from_secs(self.stop_timeout_secs)
    }

    fn file(&self) -> Option<String> {
        Some(format!("/etc/systemd/system/{}.service", self.name))
    }
}
