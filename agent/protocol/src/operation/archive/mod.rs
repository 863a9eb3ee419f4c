//! An archive (zip or tar.gz) unpacked at a folder, all or nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command::Invocation;
use super::describe::Describe;
use crate::value::{AbsPath, Content, Owner, Sha256};

pub mod outline;
pub mod part;

/// The archive is unpacked at `destination`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Where the bytes come from.
    pub source: Source,
    /// Which kind of archive.
    pub format: Format,
    /// The folder that will hold the content of the archive (of its single top folder when `strip_top`).
    pub destination: AbsPath,
    /// Whether the archive has one top folder (detected; more than one is a failure) that is dropped.
    pub strip_top: bool,
    /// The owner of everything in it.
    pub owner: Owner,
    /// Commands run inside the unpacked folder (working directory) before it is put into place, in order.
    pub prepare: Vec<Prepare>,
    /// Cap on the unpacked size in bytes.
    pub max_bytes: u64,
    /// Cap on the number of entries.
    pub max_entries: u64,
}

/// A command that makes the unpacked folder ready, and how to know that it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// What the command does, for people.
    pub title: String,
    /// The command; a relative program is looked for in the unpacked folder.
    pub command: Invocation,
    /// A text that its output must hold (exit status 0 proves nothing for some scripts).
    pub output_holds: Option<String>,
    /// Relative paths that must exist afterwards.
    pub then_present: Vec<String>,
    /// Relative paths that must not exist afterwards.
    pub then_absent: Vec<String>,
}

/// Where an archive's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Sent by the orchestrator.
    Pushed(Content),
    /// Fetched by this host.
    Pulled(Pull),
}

impl Source {
    /// Returns the digest of the bytes.
    #[must_use]
    pub const fn sha256(&self) -> Sha256 {
        match self {
            Self::Pushed(content) => content.sha256,
            Self::Pulled(pull) => pull.sha256,
        }
    }
}

/// A download by the host itself: resumed by range, verified by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// An `http://` or `https://` URL.
    pub url: String,
    /// What the bytes must be.
    pub sha256: Sha256,
    /// A proxy URL; `None` for none.
    pub proxy: Option<String>,
    /// Cap on the size in bytes.
    pub max_bytes: u64,
}

/// The archive formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A zip.
    Zip,
    /// A gzipped tar.
    TarGz,
}

impl Describe for Archive {
    fn contents(&self) -> Vec<Content> {
        match &self.source {
            Source::Pushed(content) => vec![*content],
            Source::Pulled(_) => Vec::new(),
        }
    }

    fn is_host_local(&self) -> bool {
        true
    }

    fn own_deadline(&self) -> Duration {
        self.prepare.iter().map(|prepare| prepare.command.deadline()).sum()
    }
}
