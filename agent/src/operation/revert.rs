//! Back to a release that the service ran from before, with everything that it was started with then.
//!
//! Which release that is, and what it was started with, is recorded on the host.

use std::collections::BTreeSet;

use apim_protocol::operation::revert::Revert;
use apim_protocol::outcome::{Change, Difference, Failure, Outcome, ReleaseChange};
use apim_protocol::value::{AbsPath, FileMode};

use super::unit::record::{Record, Start};
use super::unit::releases::{Releases, Run};
use super::unit::supervisor::{Stopped, Supervisor};
use super::unit::{release, systemd};
use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::probe::clock::Moment;
use crate::system::{Attributes, Bytes, Ids, System};

fn used(revert: &Revert, system: &System) -> Result<Option<AbsPath>, Failure> {
    release::in_use(system, &revert.link, &revert.releases)
}

/// Returns why there is nothing to do, where that is not a failure.
fn reason_to_skip(revert: &Revert, system: &System) -> Option<String> {
    let unless = revert.unless?;
    let known = || -> Result<Option<String>, Failure> {
        let in_use = used(revert, system)?;
        let releases = Releases::load(system, &revert.unit)?;
        if in_use.as_ref().is_some_and(|folder| releases.proved(folder) >= Some(unless)) {
            return Ok(Some("the release was healthy before".to_owned()));
        }
        let former = releases.former(system, in_use.as_ref(), revert.to.as_deref())?;
        Ok(former.is_none().then(|| "no former release to roll back to".to_owned()))
    };
    // What cannot be read is reported by the check.
    known().ok().flatten()
}

/// Returns the release in use, and the one to go back to.
fn goal(revert: &Revert, system: &System) -> Result<(Option<AbsPath>, Run), Failure> {
    let in_use = used(revert, system)?;
    let releases = Releases::load(system, &revert.unit)?;
    if let Some(run) = releases.former(system, in_use.as_ref(), revert.to.as_deref())? {
        return Ok((in_use, run.clone()));
    }
    let names = releases.names();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let unit = &revert.unit;
    Err(match &revert.to {
        Some(to) => Failure::new(format!("{unit} cannot roll back to {to}: the release does not exist on this host")),
        None => Failure::new(format!(
            "{unit} cannot roll back: this host has no earlier release from which it was healthy"
        )),
    }
    .hint(format!(
        "started on this host so far: {known}; one whose folder was removed can only be brought back by applying an inventory with its version"
    )))
}

fn is_there(revert: &Revert, system: &System, in_use: Option<&AbsPath>, goal: &Run) -> Result<bool, Failure> {
    let record = Record::load(system, &revert.unit)?;
    let status = Supervisor::new(system, &revert.unit, &revert.process).status(&record)?;
    let runs_from = record.in_effect(status.since()).and_then(|start| start.release.as_ref());
    Ok(in_use == Some(&goal.folder) && status.is_up() && runs_from == Some(&goal.folder))
}

fn changes(in_use: Option<&AbsPath>, goal: &Run) -> Vec<Change> {
    let to = goal.folder.name().to_owned();
    match in_use.filter(|in_use| **in_use != goal.folder) {
        Some(from) => vec![ReleaseChange { from: from.name().to_owned(), to }.into()],
        None => vec![format!("start from release {to}").into()],
    }
}

impl Converge for Revert {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        if let Some(why) = reason_to_skip(self, system) {
            return Ok(Finding::NotApplicable(why));
        }
        let (in_use, goal) = goal(self, system)?;
        let is_there = is_there(self, system, in_use.as_ref(), &goal)?;
        Ok(if is_there { Finding::UpToDate } else { Finding::of(changes(in_use.as_ref(), &goal)) })
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        _: &Difference,
    ) -> Result<Outcome, Failure> {
        let (in_use, goal) = goal(self, system)?;
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
            let desired = Attributes { mode: Some(FileMode::new(0o644)), ids };
            system.write(&systemd::unit_file(&self.unit)?, &Bytes::Memory(text.as_bytes()), desired)?;
            systemd::reload(system)?;
        }
        system.link(&self.link, goal.folder.as_str().as_ref())?;
        let start = Start { at: Moment::now(), session: None, passed: BTreeSet::new(), ..goal.start };
        Releases::note(system, &self.unit, &start)?;
        supervisor.start(&mut record, start)?;
        Ok(Outcome::Changed(Difference::of(changes)))
    }
}
