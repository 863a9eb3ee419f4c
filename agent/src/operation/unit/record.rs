//! What a unit was last started with, kept in the state folder: written before the start, completed after it.
//!
//! A crash at any moment leaves a record that decides: a restart is due when it must be, and only then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use apim_protocol::operation::unit::{ProcessMatch, Script};
use apim_protocol::value::{AbsPath, UnitName};
use serde::{Deserialize, Serialize};

use super::reading::Reading;
use crate::probe::clock::Moment;
use crate::probe::log::Mark;
use crate::probe::process::Process;
use crate::system::{System, SystemError};

/// What is known of a unit's starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    /// The last start that was seen to its end.
    pub(crate) started: Option<Start>,
    /// A start that was begun after it; stays when the agent died over it.
    pub(crate) starting: Option<Start>,
}

/// One start by us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Start {
    /// When it was begun.
    pub(crate) at: Moment,
    /// Label and digest of everything it was started with.
    pub(crate) inputs: BTreeMap<String, String>,
    /// The files that it reads at start.
    pub(crate) reading: Reading,
    /// The log.
    pub(crate) log: Option<AbsPath>,
    /// Where the log ended before the start.
    pub(crate) mark: Mark,
    /// How the process is recognised.
    pub(crate) process: ProcessMatch,
    /// How it was started without systemd, to be able to do it again.
    pub(crate) script: Option<Script>,
    /// The session that it was started in, without systemd.
    pub(crate) session: Option<u32>,
    /// Patterns that its log is known to have matched (the log itself may be rotated away by now).
    pub(crate) passed: BTreeSet<String>,
    /// When the last of them was seen, in milliseconds after boot.
    pub(crate) passed_at_millis: Option<u64>,
    /// The folder of the release that it runs from, where there are several.
    pub(crate) release: Option<AbsPath>,
    /// Why it can never become healthy from this start on: a wait found it out, and only another start helps.
    pub(crate) hopeless: Option<String>,
}

impl Record {
    /// Returns the record of `unit`, empty when there is none.
    pub(crate) fn load(system: &System, unit: &UnitName) -> Result<Self, SystemError> {
        Ok(system.state().read(&file(unit))?.unwrap_or_default())
    }

    /// Keeps the record.
    pub(crate) fn save(&self, system: &System, unit: &UnitName) -> Result<(), SystemError> {
        system.state().write(&file(unit), self)
    }

    /// Returns the start that a process running since `running` (after boot) comes from; without a process, the last one begun.
    pub(crate) fn in_effect(&self, running: Option<Duration>) -> Option<&Start> {
        match (&self.starting, running) {
            (Some(starting), Some(running)) if !starting.at.is_before_start(running) => self.started.as_ref(),
            (Some(starting), _) => Some(starting),
            (None, _) => self.started.as_ref(),
        }
    }

    /// Returns the last start begun.
    pub(crate) fn last(&self) -> Option<&Start> {
        self.starting.as_ref().or(self.started.as_ref())
    }

    /// As [`Record::last`], to add to it.
    pub(crate) const fn last_mut(&mut self) -> Option<&mut Start> {
        match &mut self.starting {
            Some(start) => Some(start),
            None => self.started.as_mut(),
        }
    }

    /// Notes that the start begun was seen to its end.
    pub(crate) fn complete(&mut self) {
        if let Some(start) = self.starting.take() {
            self.started = Some(start);
        }
    }
}

impl Start {
    /// Returns the labels of `desired` that differ from the inputs of this start, and those that are gone.
    pub(crate) fn differing(&self, desired: &BTreeMap<String, String>) -> Vec<String> {
        let labels: BTreeSet<&String> = desired.keys().chain(self.inputs.keys()).collect();
        labels.into_iter().filter(|label| desired.get(*label) != self.inputs.get(*label)).cloned().collect()
    }
}

/// Records that the service is up as `own`, and so has read what it reads at its start.
pub(crate) fn note_up(system: &System, unit: &UnitName, own: &[Process]) -> Result<(), SystemError> {
    let mut record = Record::load(system, unit)?;
    let since = own.iter().map(|process| process.started).min();
    if since.is_none() || record.in_effect(since) != record.last() {
        return Ok(());
    }
    let Some(start) = record.last_mut() else { return Ok(()) };
    if start.reading.confirm(system, own)? { record.save(system, unit) } else { Ok(()) }
}

fn file(unit: &UnitName) -> String {
    format!("units/{unit}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(label: &str, at: Moment) -> Start {
        Start {
            inputs: BTreeMap::from([("configuration".to_owned(), label.to_owned())]),
            at,
            ..Start::default()
        }
    }

    #[test]
    fn a_start_that_was_cut_off_counts_when_the_process_is_younger_and_not_when_it_is_older() {
        let now = Moment::now();
        let at = Duration::from_millis(now.since_boot_millis);
        let record =
            Record { started: Some(start("old", Moment::default())), starting: Some(start("new", now)) };
        let inputs = |running| record.in_effect(running).map(|start| start.inputs.clone());
        assert_eq!(inputs(Some(at + Duration::from_secs(1))), Some(start("new", Moment::default()).inputs));
        assert_eq!(
            inputs(Some(at.saturating_sub(Duration::from_secs(9)))),
            Some(start("old", Moment::default()).inputs)
        );
        assert_eq!(inputs(None), Some(start("new", Moment::default()).inputs));
    }

    #[test]
    fn differing_inputs_are_named_new_and_lost_ones_too() {
        let was = Start {
            inputs: [("a", "1"), ("b", "2"), ("lost", "3")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            ..Start::default()
        };
        let desired =
            [("a", "1"), ("b", "9"), ("new", "4")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(was.differing(&desired), ["b", "lost", "new"]);
    }
}
