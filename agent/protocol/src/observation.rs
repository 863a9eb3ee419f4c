//! What looking at a service, or asking a host questions, showed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

mod journal;

pub use journal::{IntegrityError, JournalEntry, Recorded};

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
    /// Those of its arguments that were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// The certificates that its ports serve, as far as they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Served>,
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

/// What a host answers to a question. The reader bounds every text.
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
    /// Those of the requested ports that a process listens on.
    Listeners(Vec<Listener>),
    /// Each name, as the host resolves it.
    Names(Vec<Resolved>),
    /// Each address, and whether a connection was accepted.
    Reach(Vec<Reached>),
    /// A small text; `None` where there is none.
    Text(Option<String>),
    /// A version.
    Version {
        /// As reported, such as `21.0.2`; `None` where it is unknown.
        found: Option<String>,
        /// The source, or why the version is unknown.
        whence: String,
    },
    /// The entry at a path; `None` for nothing.
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
    /// For each requested text, whether a file contains it; empty where the file does not exist.
    Holds(Vec<bool>),
    /// How a program ended that was run, and what it said.
    Printed(Box<Printed>),
    /// The machine.
    Machine(Box<Machine>),
    /// The names in a folder, in order; empty where there is none.
    Within(Vec<String>),
    /// What the host's own record says was done there.
    Recorded(Box<Recorded>),
    /// It could not be found out, and why.
    Unknown(String),
}

impl Answer {
    /// Returns how a program ended, for a record of what was done.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        match self {
            Self::Printed(printed) => Some(printed.ended.to_string()),
            _ => None,
        }
    }
}

/// A process that listens on a port.
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

/// The entry at a path.
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

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// By us, after this many seconds.
    TimedOut(u64),
    /// By us, because the run was called off.
    CalledOff,
}

impl Ended {
    /// Says whether it exited with 0.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Exited(0))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
            Self::TimedOut(secs) => write!(f, "not finished after {secs} s, and ended"),
            Self::CalledOff => f.write_str("cancelled, and ended"),
        }
    }
}

/// What a program that was run by hand left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Printed {
    /// How it ended.
    pub ended: Ended,
    /// The end of its standard output.
    pub stdout: String,
    /// The end of its standard error.
    pub stderr: String,
    /// How many bytes of both came before those.
    pub left_out: u64,
}

/// An entry of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When it was written, in milliseconds since 1970; `None` when it does not say.
    pub at: Option<u64>,
    /// Its lines.
    pub text: String,
}

/// A machine, as its kernel reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The system's name for people.
    pub system: String,
    /// The processor's name.
    pub processor: String,
    /// Seconds since it was booted.
    pub uptime_secs: u64,
    /// How many processes wanted a processor in the last 1, 5 and 15 minutes, on average, in hundredths.
    pub load_hundredths: [u32; 3],
    /// Memory that can be had without swapping, in bytes.
    pub memory_available_bytes: u64,
    /// Swap space in bytes, and how much of it is free.
    pub swap_bytes: (u64, u64),
    /// Its addresses, the loopback's apart.
    pub addresses: Vec<String>,
    /// Its file systems.
    pub disks: Vec<Disk>,
    /// How far its clock is from UTC, such as `+0200`; empty where it is unknown.
    pub zone: String,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Where it is mounted.
    pub folder: String,
    /// Its kind, such as `ext4`.
    pub kind: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// What of it may be used, in bytes.
    pub free_bytes: u64,
}

/// The certificate that a port serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The port, on this host.
    pub port: u16,
    /// The certificate, as base64 of DER; `None` where there is none.
    pub certificate: Option<String>,
    /// Why there is none.
    pub problem: Option<String>,
}
