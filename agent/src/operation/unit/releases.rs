//! What a service was last started with from each of its releases, kept in the state folder: enough to go back to one of them.

use std::time::{SystemTime, UNIX_EPOCH};

use apim_protocol::operation::revert::Proved;
use apim_protocol::outcome::Failure;
use apim_protocol::value::{AbsPath, UnitName};
use serde::{Deserialize, Serialize};

use super::record::Start;
use super::systemd;
use crate::operation::archive;
use crate::system::{System, SystemError};

/// More releases than this are not kept.
const MOST: usize = 16;
/// Longer unit files were not written by the agent.
const MAX_UNIT_FILE: u64 = 64 * 1024;

/// The releases that a service was started from, the last start last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Releases {
    runs: Vec<Run>,
}

/// How a service was last started from one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The release's folder.
    pub(crate) folder: AbsPath,
    /// When that was, in seconds since 1970.
    pub(crate) started_secs: u64,
    /// Whether it was ever seen to be healthy.
    pub(crate) was_up: bool,
    /// Whether it was ever seen to stay so.
    #[serde(default)]
    pub(crate) was_settled: bool,
    /// Whether it was left for another one because it was no good.
    pub(crate) given_up: bool,
    /// The text of its unit file.
    pub(crate) file: Option<String>,
    /// What it was started with.
    pub(crate) start: Start,
}

impl Releases {
    /// Returns what is known of the releases of `unit`.
    pub(crate) fn load(system: &System, unit: &UnitName) -> Result<Self, SystemError> {
        Ok(system.state().read(&file(unit))?.unwrap_or_default())
    }

    pub(crate) fn save(&self, system: &System, unit: &UnitName) -> Result<(), SystemError> {
        system.state().write(&file(unit), self)
    }

    /// Returns how the service was last started from `folder`.
    pub(crate) fn run(&self, folder: &AbsPath) -> Option<&Run> {
        self.runs.iter().find(|run| run.folder == *folder)
    }

    /// Says whether what the service keeps in `folder` is what it made there itself. One that was up for a moment, and was given up, was
    /// behind the other since.
    pub(crate) fn has_its_own(&self, folder: &AbsPath) -> bool {
        self.run(folder).is_some_and(|run| run.was_up && (run.was_settled || !run.given_up))
    }

    /// Returns how far the service ever came from `folder`.
    pub(crate) fn proved(&self, folder: &AbsPath) -> Option<Proved> {
        let run = self.run(folder).filter(|run| run.was_up)?;
        Some(if run.was_settled { Proved::Settled } else { Proved::Up })
    }

    /// Notes that the service is about to be started with `start`, from the release that it names.
    pub(crate) fn note(system: &System, unit: &UnitName, start: &Start) -> Result<(), Failure> {
        let Some(folder) = &start.release else { return Ok(()) };
        let mut releases = Self::load(system, unit)?;
        let before = releases.proved(folder);
        releases.runs.retain(|run| run.folder != *folder);
        let text = match system.has_systemd() {
            true => system.read(&systemd::unit_file(unit)?, MAX_UNIT_FILE)?,
            false => None,
        };
        let kept = Start {
            inputs: start.inputs.clone(),
            log: start.log.clone(),
            process: start.process.clone(),
            script: start.script.clone(),
            reading: start.reading.unread(),
            release: start.release.clone(),
            ..Start::default()
        };
        releases.runs.push(Run {
            folder: folder.clone(),
            started_secs: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            was_up: before.is_some(),
            was_settled: before == Some(Proved::Settled),
            given_up: false,
            file: text.and_then(|bytes| String::from_utf8(bytes).ok()),
            start: kept,
        });
        let surplus = releases.runs.len().saturating_sub(MOST);
        releases.runs.drain(..surplus);
        Ok(releases.save(system, unit)?)
    }

    /// Notes that the service came so far from `folder`.
    pub(crate) fn note_up(
        system: &System,
        unit: &UnitName,
        (folder, proved): (&AbsPath, Proved),
    ) -> Result<(), SystemError> {
        let mut releases = Self::load(system, unit)?;
        if releases.proved(folder) >= Some(proved) {
            return Ok(());
        }
        let Some(run) = releases.runs.iter_mut().find(|run| run.folder == *folder) else { return Ok(()) };
        run.was_up = true;
        run.was_settled |= proved == Proved::Settled;
        releases.save(system, unit)
    }

    /// Records that `folder` was abandoned because it did not become healthy.
    pub(crate) fn give_up(&mut self, folder: &AbsPath) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.folder == *folder) {
            run.given_up = true;
        }
    }

    /// Returns the release to go back to from `in_use`: the one that is `wanted` by its name or the beginning of it, or the one that was
    /// used last, was healthy, and was not given up. Only those whose folders are still whole.
    pub(crate) fn former(
        &self,
        system: &System,
        in_use: Option<&AbsPath>,
        wanted: Option<&str>,
    ) -> Result<Option<&Run>, Failure> {
        for run in self.runs.iter().rev() {
            let is_it = match wanted {
                Some(wanted) => is_called(run.folder.name(), wanted),
                None => Some(&run.folder) != in_use && run.was_up && !run.given_up,
            };
            if is_it && archive::stamp::finished(system, &run.folder)?.is_some() {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    /// Returns the names of all releases that the service was started from, the last one last.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.runs.iter().map(|run| run.folder.name()).collect()
    }
}

/// `4.5.0` means every `4.5.0-…`.
fn is_called(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn file(unit: &UnitName) -> String {
    format!("releases/{unit}.json")
}
