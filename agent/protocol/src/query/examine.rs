//! Typed questions about a host.

use serde::{Deserialize, Serialize};

use crate::operation::unit::ProcessMatch;
use crate::operation::version::VersionOf;
use crate::value::{AbsPath, UnitName};

/// Answer these questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examine {
    /// In order; each gets one answer.
    pub questions: Vec<Question>,
}

/// One question. None takes long when all is well, and none longer than some seconds when it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// What the agent itself is.
    Agent,
    /// The clock, and the process that synchronizes it.
    Clock,
    /// The room on the file system of a folder that need not exist yet.
    Space(AbsPath),
    /// The processes that listen on these TCP ports.
    Listeners {
        /// The ports.
        ports: Vec<u16>,
        /// Processes that are expected there.
        own: Vec<ProcessMatch>,
    },
    /// What these names resolve to.
    Names {
        /// The names.
        names: Vec<String>,
        /// What the marker lines of a managed block in `/etc/hosts` say: lines before it weigh more than it.
        marker: Option<String>,
    },
    /// Whether connections to these are accepted.
    Reach(Vec<(String, u16)>),
    /// A text of at most 4 KiB; not for what is secret.
    Text(AbsPath),
    /// A version.
    Version(VersionOf),
    /// The entry at a path.
    Entry {
        /// The path.
        path: AbsPath,
        /// Whether the digest of a file is wanted.
        digest: bool,
    },
    /// An account.
    Account(String),
    /// The machine.
    Machine,
    /// The names in a folder.
    Within(AbsPath),
    /// The target of a link, as a text.
    Link(AbsPath),
    /// What systemd says of a unit.
    Unit {
        /// Which.
        unit: UnitName,
        /// The properties that are wanted.
        properties: Vec<String>,
    },
    /// Which of these texts a file holds; the file itself may be secret.
    Holds {
        /// The file.
        path: AbsPath,
        /// The texts.
        texts: Vec<String>,
    },
}
