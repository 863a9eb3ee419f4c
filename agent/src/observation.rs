//! What looking at a service showed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// systemd's word for the unit (`active`, `failed`, `inactive`, `missing`), or `running`/`stopped` without systemd.
    pub unit: String,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// Seconds since its process started.
    pub uptime_secs: Option<u64>,
    /// Resident memory of its processes in bytes.
    pub memory_bytes: Option<u64>,
    /// How often systemd restarted it by itself.
    pub restarts: Option<u64>,
    /// Targets of the links asked for.
    pub links: BTreeMap<String, Option<String>>,
    /// Each gate: its words, whether it holds, and the answer.
    pub gates: Vec<Gate>,
    /// Labels of inputs that the running service was not started with, as far as known.
    pub started_with: BTreeMap<String, String>,
}

/// One gate that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// What was tried.
    pub what: String,
    /// Whether it holds.
    pub holds: bool,
    /// The answer got.
    pub answer: String,
}
