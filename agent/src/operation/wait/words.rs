//! Conditions in words for people.

use super::Condition;
use crate::operation::unit::ProcessMatch;

impl Condition {
    /// Returns what is awaited, such as `HTTP 200 from https://…`.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Process(process) => format!("a process with {}", arguments(process)),
            Self::Tcp { host, port } => format!("a TCP connection to {host}:{port}"),
            Self::Listens { port, process: _ } => format!("its own process on port {port}"),
            Self::Connected { host, port, process: _ } => format!("its connection to {host}:{port}"),
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

    /// Says whether looking at it costs next to nothing, and never waits for somebody's answer.
    pub(super) const fn is_cheap(&self) -> bool {
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

    /// Returns the regular expressions in it, with the condition's words.
    pub(super) fn patterns(&self) -> Vec<&str> {
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
