//! Wait until conditions hold, within a deadline.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use super::unit::ProcessMatch;
use super::version::VersionOf;
use crate::value::{AbsPath, Content, UnitName};

/// All `conditions` hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What is awaited, for people, such as `gateway started`.
    pub awaited: String,
    /// All of these, each with its own words.
    pub conditions: Vec<Condition>,
    /// Seconds until it is given up.
    pub deadline_secs: u64,
    /// The service concerned: when its process is gone the wait ends at once.
    pub service: Option<Service>,
    /// Seconds for which the conditions must hold after the service first said that it is up; 0 asks for none. A service that
    /// said so longer ago is not waited for.
    #[serde(default)]
    pub settle_secs: u64,
    /// At most one cure, tried once.
    pub remedy: Option<Remedy>,
}

/// The service that a wait is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its unit (`/` state of the last start, journal).
    pub unit: UnitName,
    /// Its process.
    pub process: ProcessMatch,
    /// Its log, read from where it stood at the last start.
    pub log: Option<AbsPath>,
    /// What lines of the log or of its standard output mean, most telling first.
    pub causes: Vec<Cause>,
}

/// What a log line means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// A regular expression for the line.
    pub pattern: String,
    /// The cause in plain words.
    pub cause: String,
    /// What to do about it.
    pub hint: String,
    /// Whether the service can never become healthy once this was logged: the wait ends at once.
    pub fatal: bool,
}

/// One thing that can be true of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The service's process lives.
    Process(ProcessMatch),
    /// A TCP connection to `host:port` is accepted.
    Tcp {
        /// A name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// The service's own process listens on this TCP port (another process does not count, and is named).
    Listens {
        /// The port.
        port: u16,
        /// Whose process.
        process: ProcessMatch,
    },
    /// The service's own process has an established TCP connection to `host:port`.
    Connected {
        /// A name or address of the peer.
        host: String,
        /// The peer's port.
        port: u16,
        /// Whose process.
        process: ProcessMatch,
    },
    /// A GET is answered so.
    Http {
        /// `http://` or `https://` URL.
        url: String,
        /// The status wanted.
        status: u16,
        /// A text that the body must hold.
        body_holds: Option<String>,
        /// Whether the certificate is verified; may be off for loopback addresses only.
        verify: bool,
        /// Whose answer it is.
        scope: Scope,
    },
    /// The log holds a line that matches, written since the unit's last start.
    Logged {
        /// The log file.
        log: AbsPath,
        /// A regular expression.
        pattern: String,
        /// Whose last start counts.
        since_start_of: UnitName,
    },
    /// A path exists.
    Exists(AbsPath),
    /// The main number of a version lies between these two, or is one of them.
    Version {
        /// Where it is read from.
        of: VersionOf,
        /// The lowest that is accepted.
        lowest: u32,
        /// The highest that is accepted.
        highest: u32,
    },
    /// No remote host is connected to these ports of the host.
    Quiet {
        /// The ports.
        ports: Vec<u16>,
        /// Whose connections count; empty: everybody's, the host's own and those of `except` apart.
        from: Vec<IpAddr>,
        /// Whose do not.
        except: Vec<IpAddr>,
    },
    /// `then` holds, wherever `when` does: as long as `when` does not hold, this does. Both are checked each time.
    Where {
        /// What makes `then` matter, such as a peer that answers.
        when: Box<Condition>,
        /// What must hold then.
        then: Box<Condition>,
    },
}

/// Whose state a condition shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The host's own: it stays the same as long as nothing is done there.
    Local,
    /// Another host's as well.
    Peer,
}

/// A cure for a service that is stuck: restart it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// The unit to restart (leave is asked first).
    pub unit: UnitName,
    /// Restart as soon as the log since the last start holds a match of this regular expression …
    pub when_logged: Option<String>,
    /// … or when the conditions do not hold after this many seconds (0: never for this reason).
    pub after_secs: u64,
    /// Why, for people.
    pub why: String,
    /// Seconds from TERM until KILL.
    pub stop_timeout_secs: u64,
}

impl Condition {
    /// Returns what is awaited, such as `HTTP 200 from https://…`.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Process(process) => format!("a process with {}", arguments(process)),
            Self::Tcp { host, port } => format!("a TCP connection to {host}:{port}"),
            Self::Listens { port, process: _ } => format!("port {port}"),
            Self::Connected { host, port, process: _ } => format!("connection to {host}:{port}"),
            Self::Http { url, status, body_holds, verify: _, scope: _ } => match body_holds {
                Some(text) => format!("HTTP {status} with `{text}` from {url}"),
                None => format!("HTTP {status} from {url}"),
            },
            Self::Logged { log, pattern, since_start_of: _ } => {
                format!("`{pattern}` in {log} since its start")
            }
            Self::Exists(path) => format!("{path}"),
            Self::Version { of, lowest, highest } => {
                format!("a version from {lowest} to {highest} of {}", of.program)
            }
            Self::Quiet { ports, .. } => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                format!("no connection to port {}", ports.join(", "))
            }
            Self::Where { when, then } => format!("{} (where there is {})", then.words(), when.words()),
        }
    }

    /// Says whether a check costs next to nothing, and never waits for an answer.
    #[must_use]
    pub const fn is_cheap(&self) -> bool {
        match self {
            Self::Process(_)
            | Self::Listens { .. }
            | Self::Logged { .. }
            | Self::Exists(_)
            | Self::Quiet { .. }
            | Self::Version { .. } => true,
            Self::Tcp { .. } | Self::Connected { .. } | Self::Http { .. } | Self::Where { .. } => false,
        }
    }

    /// Says whether a check depends on the host alone: nothing was done there, so it is still true.
    #[must_use]
    pub const fn is_host_local(&self) -> bool {
        match self {
            Self::Process(_)
            | Self::Listens { .. }
            | Self::Logged { .. }
            | Self::Exists(_)
            | Self::Quiet { .. }
            | Self::Version { .. } => true,
            Self::Http { scope, .. } => matches!(scope, Scope::Local),
            Self::Tcp { .. } | Self::Connected { .. } | Self::Where { .. } => false,
        }
    }

    /// Returns the regular expressions in it, with the condition's words.
    #[must_use]
    pub fn patterns(&self) -> Vec<&str> {
        match self {
            Self::Logged { pattern, .. } => vec![pattern],
            Self::Where { when, then } => [when.patterns(), then.patterns()].concat(),
            _ => Vec::new(),
        }
    }
}

fn arguments(process: &ProcessMatch) -> String {
    let quoted: Vec<String> = process.arguments.iter().map(|text| format!("`{text}`")).collect();
    quoted.join(" and ")
}

impl Describe for Wait {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        self.conditions.iter().all(Condition::is_host_local)
    }

    fn own_deadline(&self) -> Duration {
        let remedy = self.remedy.as_ref().map_or(0, |remedy| remedy.stop_timeout_secs);
        Duration::from_secs(self.deadline_secs.saturating_add(remedy))
    }
}
