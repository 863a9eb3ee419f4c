//! A command, run as an argument vector (no shell), guarded so that it runs when it is due.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content, Secret};

/// A command was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What to run.
    pub run: Invocation,
    /// Not due when this path exists (checked again afterwards: it must exist then).
    pub creates: Option<AbsPath>,
    /// Not due when this path is missing.
    pub removes: Option<AbsPath>,
    /// Not due when this command exits with 0 (it must only read).
    pub unless: Option<Invocation>,
    /// Exit statuses that mean success; empty means 0 only.
    pub success: Vec<i32>,
    /// Whether running it counts as a change.
    pub changes: bool,
}

/// How to start a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The working directory.
    pub directory: Option<AbsPath>,
    /// Environment added to a minimal one (PATH, LANG=C.UTF-8, HOME); never shown.
    pub environment: BTreeMap<String, Secret>,
    /// The account to run as; `None` is the agent's own.
    pub run_as: Option<String>,
    /// Given on standard input; never shown.
    pub stdin: Option<Secret>,
    /// Seconds until it is ended (TERM, then KILL); 0 means 300.
    pub timeout_secs: u64,
}

/// Seconds that a command without a deadline of its own gets.
const DEFAULT_TIMEOUT_SECS: u64 = 300;

impl Invocation {
    /// Returns how long it may run until it is ended.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        let seconds = if self.timeout_secs == 0 { DEFAULT_TIMEOUT_SECS } else { self.timeout_secs };
        Duration::from_secs(seconds)
    }

    /// Returns the argument vector for people, cut to a bound.
    #[must_use]
    pub fn words(&self) -> String {
        let text = self.argv.join(" ");
        if text.chars().count() > 200 {
            format!("{}…", text.chars().take(200).collect::<String>())
        } else {
            text
        }
    }
}

impl Describe for Command {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        // What it looks at is not known.
        false
    }

    fn own_deadline(&self) -> Duration {
        self.run.deadline()
    }
}
