//! A service runs from a release that it ran from before.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use super::unit::ProcessMatch;
use crate::value::{AbsPath, Content, UnitName};

/// The service `unit` runs from the release that it ran from before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revert {
    /// Its systemd name, without `.service`.
    pub unit: UnitName,
    /// The folder that holds its releases side by side.
    pub releases: AbsPath,
    /// The link that names the one in use.
    pub link: AbsPath,
    /// The name of the release to go back to, or its beginning (`4.5.0` for `4.5.0-…`); `None` for the one that was in use, and healthy,
    /// before the present one.
    pub to: Option<String>,
    /// Only away from a release from which the service was never so far; else, or where there is none to go back to, this is skipped.
    pub unless: Option<Proved>,
    /// How its process is recognized.
    pub process: ProcessMatch,
    /// Seconds from TERM until KILL.
    pub stop_timeout_secs: u64,
    /// Whether leave is asked before it is stopped.
    pub ask: bool,
}

/// How far a service came from a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proved {
    /// It was up.
    Up,
    /// And a wait that asked for it to stay so has held.
    Settled,
}

impl Describe for Revert {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        true
    }

    fn own_deadline(&self) -> Duration {
        Duration::from_secs(self.stop_timeout_secs)
    }
}
