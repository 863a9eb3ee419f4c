//! Back to a release that the service ran from before, with everything that it was started with then.
//!
//! Which release that is, and what it was started with, is kept on the host: nobody else needs to know it, or is asked.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::unit::record::{Record, Start};
use super::unit::release;
use super::unit::releases::{Releases, Run};
use super::unit::supervisor::{Stopped, Supervisor};
use super::unit::{ProcessMatch, systemd};
use super::{Converge, Dialogue};
use crate::outcome::{Change, Difference, Failure, Outcome, ReleaseChange};
use crate::probe::clock::Moment;
use crate::system::{Attributes, Bytes, Ids, System};
use crate::value::{AbsPath, FileMode, UnitName};

/// The service `unit` runs from the release that it ran from before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revert {
    /// Its systemd name, without `.service`.
    pub unit: UnitName,
    /// The folder that holds its releases side by side.
    pub releases: AbsPath,
    /// The link that names the one in use.
    pub link: AbsPath,
    /// The name of the release to go back to, or its beginning (`4.5.0` for `4.5.0-…`); `None` for the one that was in use, and healthy,
    /// before the present one.
    pub to: Option<String>,
    /// Only away from a release from which the service was never so far; else, or where there is none to go back to, this is skipped.
    pub unless: Option<Proved>,
    /// How its process is told from others.
    pub process: ProcessMatch,
    /// Seconds from TERM until KILL.
    pub stop_timeout_secs: u64,
    /// Whether leave is asked before it is stopped.
    pub ask: bool,
}

/// How far a service came from a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proved {
    /// It was up.
    Up,
    /// And a wait that asked for it to stay so has held.
    Settled,
}

impl Revert {
    fn in_use(&self, system: &System) -> Result<Option<AbsPath>, Failure> {
        release::in_use(system, &self.link, &self.releases)
    }

    /// Says why there is nothing to be done here, where that is no failure.
    pub(super) fn is_pointless(&self, system: &System) -> Option<String> {
        let unless = self.unless?;
        let known = || -> Result<Option<String>, Failure> {
            let in_use = self.in_use(system)?;
            let releases = Releases::load(system, &self.unit)?;
            if in_use.as_ref().is_some_and(|folder| releases.proved(folder) >= Some(unless)) {
                return Ok(Some("it was healthy from this release before".to_owned()));
            }
            let former = releases.former(system, in_use.as_ref(), self.to.as_deref())?;
            Ok(former.is_none().then(|| "there is no former release to go back to".to_owned()))
        };
        // What cannot be read is told by the check.
        known().ok().flatten()
    }

    /// Returns the release in use, and the one to go back to.
    fn goal(&self, system: &System) -> Result<(Option<AbsPath>, Run), Failure> {
        let in_use = self.in_use(system)?;
        let releases = Releases::load(system, &self.unit)?;
        if let Some(run) = releases.former(system, in_use.as_ref(), self.to.as_deref())? {
            return Ok((in_use, run.clone()));
        }
        let names = releases.names();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let unit = &self.unit;
        Err(match &self.to {
            Some(to) => Failure::new(format!("{unit} cannot go back to {to}: there is no such release here")),
            None => Failure::new(format!(
                "{unit} cannot go back: no release is left here from which it was healthy before the present one"
            )),
        }
        .hint(format!(
            "started on this host so far: {known}; one whose folder was removed can only be brought back by applying an inventory with its version"
        )))
    }

    fn is_there(&self, system: &System, in_use: Option<&AbsPath>, goal: &Run) -> Result<bool, Failure> {
        let record = Record::load(system, &self.unit)?;
        let status = Supervisor::new(system, &self.unit, &self.process).status(&record)?;
        let runs_from = record.in_effect(status.since()).and_then(|start| start.release.as_ref());
        Ok(in_use == Some(&goal.folder) && status.is_up() && runs_from == Some(&goal.folder))
    }
}

fn changes(in_use: Option<&AbsPath>, goal: &Run) -> Vec<Change> {
    let to = goal.folder.name().to_owned();
    match in_use.filter(|in_use| **in_use != goal.folder) {
        Some(from) => vec![ReleaseChange { from: from.name().to_owned(), to }.into()],
        None => vec![format!("start from release {to}").into()],
    }
}

impl Converge for Revert {
    fn check(&self, system: &System) -> Result<Option<Difference>, Failure> {
        let (in_use, goal) = self.goal(system)?;
        let is_there = self.is_there(system, in_use.as_ref(), &goal)?;
        Ok((!is_there).then(|| Difference::of(changes(in_use.as_ref(), &goal))))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        _: &Difference,
    ) -> Result<Outcome, Failure> {
        let (in_use, goal) = self.goal(system)?;
        let mut changes = changes(in_use.as_ref(), &goal);
        let mut record = Record::load(system, &self.unit)?;
        let supervisor = Supervisor::new(system, &self.unit, &self.process);
        let status = supervisor.status(&record)?;
        let lives = !status.own.is_empty() || !status.family.is_empty();
        if self.ask && lives {
            let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
            dialogue.permit(&self.unit, &format!("back to {}", words.join(", ")))?;
        }
        if !status.is_down() || lives {
            let stopped = supervisor.stop(&status, self.stop_timeout_secs, dialogue)?;
            if let Stopped::Killed(secs) = stopped {
                changes.push(format!("ended with KILL, because it did not stop within {secs} s").into());
            }
        }
        let mut releases = Releases::load(system, &self.unit)?;
        if let Some(left) = in_use.as_ref().filter(|left| **left != goal.folder) {
            releases.give_up(left);
            releases.save(system, &self.unit)?;
        }
        if let Some(text) = goal.file.as_ref().filter(|_| system.has_systemd()) {
            let ids =
                if system.is_privileged() { Ids { uid: Some(0), gid: Some(0) } } else { Ids::default() };
            let wish = Attributes { mode: Some(FileMode::new(0o644)), ids };
            system.write(&systemd::unit_file(&self.unit)?, &Bytes::Memory(text.as_bytes()), wish)?;
            systemd::reload(system)?;
        }
        system.link(&self.link, goal.folder.as_str().as_ref())?;
        let start = Start { at: Moment::now(), session: None, passed: BTreeSet::new(), ..goal.start };
        Releases::note(system, &self.unit, &start)?;
        supervisor.start(&mut record, start)?;
        Ok(Outcome::Changed(Difference::of(changes)))
    }
}
