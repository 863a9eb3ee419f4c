//! What looking at a service, or asking a host questions, showed.

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
    /// The answers to the questions of an examination, one for each, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
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

/// What a host answers to a question; whoever reads it bounds every text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The clock.
    Clock {
        /// Milliseconds since 1970.
        unix_millis: u64,
        /// The process that keeps it right, such as `chronyd`.
        keeper: Option<String>,
    },
    /// The file system of a folder, or of the nearest one above it that exists.
    Space {
        /// Which file system: the same number, the same room.
        device: u64,
        /// The folder that was looked at.
        folder: String,
        /// Bytes that may be used.
        free_bytes: u64,
    },
    /// Those of the ports asked for that somebody listens on.
    Listeners(Vec<Listener>),
    /// Each name, as the host resolves it.
    Names(Vec<Resolved>),
    /// Each address, and whether a connection was accepted.
    Reach(Vec<Reached>),
    /// A small text; `None` where there is none.
    Text(Option<String>),
    /// A version.
    Version {
        /// As it was told, such as `21.0.2`; `None` where nobody told.
        found: Option<String>,
        /// Who told, or why nobody did.
        whence: String,
    },
    /// What stands at a path; `None` for nothing.
    Entry(Option<Entry>),
    /// An account; `None` where there is none.
    Account(Option<Account>),
    /// What the agent itself is.
    Agent {
        /// Its user's number.
        uid: u32,
        /// Whether it sees a part of the host only (`--root`).
        rooted: bool,
        /// How many files a process that it starts may open at most.
        open_files: u64,
        /// The version of systemd, where it runs the host.
        systemd: Option<u32>,
    },
    /// What systemd says of a unit, by property; empty where it knows none.
    Unit(BTreeMap<String, String>),
    /// For each text asked for, whether a file holds it; empty where there is no such file.
    Holds(Vec<bool>),
    /// It could not be found out, and why.
    Unknown(String),
}

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// The address it listens on.
    pub address: String,
    /// Its process, where that can be seen.
    pub pid: Option<u32>,
    /// The process's name.
    pub name: String,
    /// The account that it runs as.
    pub account: String,
    /// Whether it is one of the processes that the question names, by its place there.
    pub own: Option<usize>,
}

/// A name and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Why it has none.
    pub problem: Option<String>,
    /// The first line of `/etc/hosts` that names it and stands before the managed block (or anywhere, without one): number and address.
    pub line: Option<(u32, String)>,
}

/// An address and whether it could be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// A name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Why not; `None` when the connection was accepted.
    pub problem: Option<String>,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `file`, `folder`, `link` or `other`.
    pub kind: String,
    /// The permission bits.
    pub mode: u32,
    /// The owner's name.
    pub owner: String,
    /// The group's name.
    pub group: String,
    /// The digest of a file that was asked for.
    pub sha256: Option<String>,
}

/// An account of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// Its login shell.
    pub shell: String,
}
