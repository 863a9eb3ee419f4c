//! What a service has read: the files as they were right before its start, if they stayed untouched until it was up.
//!
//! An edit that came after that was never read by the process that runs. One that was made while it came up may have been.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use apim_protocol::value::{AbsPath, Sha256};
use serde::{Deserialize, Serialize};

use crate::probe::process::Process;
use crate::system::{System, SystemError};

/// The files that a service reads, and the process that has read them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Reading {
    /// The files.
    paths: BTreeSet<AbsPath>,
    /// Those that held what we wrote right before the start, as they stood.
    prints: BTreeMap<AbsPath, Print>,
    /// The process that was up while they still stood so.
    reader: Option<Life>,
}

/// A file at a moment. Any write changes its print, even if every byte is the same in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Print {
    sha256: Sha256,
    id: (u64, u64),
    changed_nanos: i128,
}

/// A process: the number alone is given out again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Life {
    pid: u32,
    started: Duration,
    boot: String,
}

impl Life {
    fn of(processes: &[Process]) -> Option<Self> {
        let eldest = processes.iter().min_by_key(|process| process.started)?;
        Some(Self { pid: eldest.pid, started: eldest.started, boot: crate::probe::clock::boot_id() })
    }
}

impl Reading {
    /// A service reads these files.
    pub(crate) fn of(paths: impl IntoIterator<Item = AbsPath>) -> Self {
        Self { paths: paths.into_iter().collect(), ..Self::default() }
    }

    /// Looks at the files, right before a start.
    pub(crate) fn begin(&mut self, system: &System) -> Result<(), SystemError> {
        self.reader = None;
        self.prints = BTreeMap::new();
        for path in &self.paths {
            if let Some(print) = print(system, path)?.filter(|print| is_ours(system, path, print)) {
                self.prints.insert(path.clone(), print);
            }
        }
        Ok(())
    }

    /// Returns what is known before a start: which files it reads.
    pub(crate) fn unread(&self) -> Self {
        Self::of(self.paths.clone())
    }

    /// Notes that the service is up as `own`; says whether that is news. It has read whatever it reads at its start.
    pub(crate) fn confirm(&mut self, system: &System, own: &[Process]) -> Result<bool, SystemError> {
        let reader = Life::of(own);
        if self.prints.is_empty() || self.reader == reader {
            return Ok(false);
        }
        let mut prints = BTreeMap::new();
        for (path, before) in &self.prints {
            if print(system, path)?.as_ref() == Some(before) {
                prints.insert(path.clone(), before.clone());
            }
        }
        self.prints = prints;
        self.reader = reader;
        Ok(true)
    }

    /// Says whether the service that runs as `own` has read what we wrote at `path`.
    pub(crate) fn has_read(&self, path: &AbsPath, own: &[Process]) -> bool {
        self.prints.contains_key(path) && self.reader.is_some() && self.reader == Life::of(own)
    }
}

fn print(system: &System, path: &AbsPath) -> Result<Option<Print>, SystemError> {
    let (Some(before), Some(sha256)) = (system.stat(path)?, system.digest(path)?) else { return Ok(None) };
    Ok(Some(Print { sha256, id: before.id, changed_nanos: before.changed_nanos }))
}

fn is_ours(system: &System, path: &AbsPath, print: &Print) -> bool {
    // What is not known is not ours.
    system.state().is_ours(path, print.sha256).unwrap_or(false)
}
