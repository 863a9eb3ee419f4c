//! The wishes about a host that the agent understands, and `converge`, the only caller of `apply`.
//!
//! One file per operation: its parameters, its `check` and its `apply`. An operation knows Unix and nothing else.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::observation::LogEntry;
use crate::outcome::{Difference, Failure, Outcome};
use crate::system::System;
use crate::value::{Content, UnitName};
use archive::part::Part;
use arrival::Arrival;

pub mod absent;
pub mod account;
pub mod archive;
pub mod arrival;
mod attributes;
pub mod block;
pub mod bundle;
pub mod command;
mod diff;
pub mod directory;
pub mod disowned;
pub mod download;
mod edited;
pub mod examine;
pub mod execute;
pub mod file;
pub mod follow;
pub mod group;
pub mod inspect;
pub mod line;
pub mod link;
pub mod prune;
mod pull;
pub mod recall;
pub mod revert;
pub mod sysctl;
#[cfg(test)]
pub(crate) mod testing;
mod text;
pub mod unit;
pub mod vacate;
pub mod version;
pub mod wait;

/// One typed, idempotent wish about a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A folder exists, with this mode and owner.
    Directory(directory::Directory),
    /// A file holds these bytes.
    File(file::File),
    /// A symbolic link points there.
    Link(link::Link),
    /// Nothing stands at this path.
    Absent(absent::Absent),
    /// An archive is unpacked at this folder.
    Archive(archive::Archive),
    /// Of the archives unpacked in a folder, only the newest stay.
    Prune(prune::Prune),
    /// What was unpacked in a folder is gone for good, with what is ours around it.
    Vacate(vacate::Vacate),
    /// A file was fetched from a URL.
    Download(download::Download),
    /// The files of one service are as wished, and it has read them.
    Bundle(bundle::Bundle),
    /// A file holds our lines between our markers.
    Block(block::Block),
    /// A file holds one line.
    Line(line::Line),
    /// A group exists.
    Group(group::Group),
    /// An account exists.
    Account(account::Account),
    /// An account that we made is gone.
    Disowned(disowned::Disowned),
    /// A command was run.
    Command(command::Command),
    /// A service is installed and in the wished state.
    Unit(Box<unit::Unit>),
    /// A service runs from a release that it ran from before.
    Revert(Box<revert::Revert>),
    /// Some conditions hold, within a deadline.
    Wait(Box<wait::Wait>),
    /// Look, and report; changes nothing.
    Inspect(Box<inspect::Inspect>),
    /// The kernel has these values.
    Sysctl(sysctl::Sysctl),
    /// Answer questions; changes nothing.
    Examine(examine::Examine),
    /// Run a program by hand, and tell what it said.
    Execute(execute::Execute),
    /// Tell the end of a log, and what is added to it; changes nothing.
    Follow(follow::Follow),
    /// Tell what the host's own record says was done there, and whether it is whole; changes nothing.
    Recall(recall::Recall),
}

/// Whether changes may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Look only.
    Check,
    /// Look, and change what differs.
    Apply,
}

/// What an operation may ask of the orchestrator while it applies.
pub trait Dialogue {
    /// Returns a local file that holds `content`, verified; fetches it first when the host lacks it.
    ///
    /// # Errors
    /// When the content cannot be had or its digest is wrong.
    fn content(&mut self, content: &Content) -> Result<PathBuf, Failure> {
        self.content_arriving(content, &Arrival::default())
    }

    /// The same, and tells `arrival` how far it is while it comes; that all of it is there is for the caller to tell.
    ///
    /// # Errors
    /// When the content cannot be had or its digest is wrong.
    fn content_arriving(&mut self, content: &Content, arrival: &Arrival) -> Result<PathBuf, Failure>;

    /// Returns a local file with the outline of the zip `content`; `None` when there is none, or when some of the zip is here
    /// already.
    ///
    /// # Errors
    /// When it cannot be had because the link is gone or the run was called off.
    fn outline(&mut self, content: &Content) -> Result<Option<PathBuf>, Failure> {
        let _ = content;
        Ok(None)
    }

    /// Returns a local file that holds these parts of `content`, one behind the other; they are not verified.
    ///
    /// # Errors
    /// When they cannot be had.
    fn parts(&mut self, content: &Content, parts: &[Part]) -> Result<PathBuf, Failure> {
        let _ = parts;
        Err(Failure::new(format!("parts of the content {}… cannot be had", content.sha256.short())))
    }

    /// Waits for leave to take down the healthy `unit`, because of `reason`.
    ///
    /// # Errors
    /// When leave is refused or the link is gone.
    fn permit(&mut self, unit: &UnitName, reason: &str) -> Result<(), Failure>;

    /// Tells how far the work is (`total` 0 when unknown); cheap to call, rate-limited by the callee.
    fn progress(&mut self, what: &str, done: u64, total: u64);

    /// Tells entries of a log, and whether they were written just now; waits until there is room for them on the way.
    fn entries(&mut self, entries: Vec<LogEntry>, is_live: bool);

    /// Says whether the run was called off; long waits look at this and leave.
    fn is_cancelled(&self) -> bool;

    /// Says whether somebody called the run off; a link that was lost does not count.
    fn is_called_off(&self) -> bool {
        self.is_cancelled()
    }
}

/// What every operation can do.
pub trait Converge {
    /// Looks at the host and returns how it differs from the wish; touches nothing.
    ///
    /// # Errors
    /// When the host cannot be read, or stands in the way of the wish.
    fn check(&self, system: &System) -> Result<Option<Difference>, Failure>;

    /// Makes the host match the wish; returns what was done (more may be known than `check` knew).
    ///
    /// # Errors
    /// When it does not work; the host is then as it was, or as told.
    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure>;

    /// Apply mode only: keeps what is worth keeping of the host having been found as wished.
    fn confirm(&self, system: &System) {
        let _ = system;
    }

    /// Check mode only: adds what is worth its cost only when somebody looks, such as a diff that needs the new content.
    /// Touches nothing but the agent's own spool.
    fn explain(&self, system: &System, dialogue: &mut dyn Dialogue, difference: Difference) -> Difference {
        let _ = (system, dialogue);
        difference
    }
}

impl Operation {
    fn converge(&self) -> &dyn Converge {
        match self {
            Self::Directory(op) => op,
            Self::File(op) => op,
            Self::Link(op) => op,
            Self::Absent(op) => op,
            Self::Archive(op) => op,
            Self::Prune(op) => op,
            Self::Vacate(op) => op,
            Self::Download(op) => op,
            Self::Bundle(op) => op,
            Self::Block(op) => op,
            Self::Line(op) => op,
            Self::Group(op) => op,
            Self::Account(op) => op,
            Self::Disowned(op) => op,
            Self::Command(op) => op,
            Self::Unit(op) => op.as_ref(),
            Self::Revert(op) => op.as_ref(),
            Self::Wait(op) => op.as_ref(),
            Self::Inspect(op) => op.as_ref(),
            Self::Sysctl(op) => op,
            Self::Examine(op) => op,
            Self::Execute(op) => op,
            Self::Follow(op) => op,
            Self::Recall(op) => op,
        }
    }
}

/// Makes the host match `operation`, or in check mode says what would change.
pub fn converge(operation: &Operation, mode: Mode, system: &System, dialogue: &mut dyn Dialogue) -> Outcome {
    if let Operation::Inspect(op) = operation {
        return Outcome::Observed(Box::new(op.observe(system)));
    }
    if let Operation::Examine(op) = operation {
        return Outcome::Observed(Box::new(op.observe(system)));
    }
    if let Operation::Sysctl(op) = operation {
        return op.settle(mode, system);
    }
    if let Operation::Execute(op) = operation {
        return op.settle(mode, system, dialogue);
    }
    if let Operation::Follow(op) = operation {
        return op.settle(system, dialogue);
    }
    if let Operation::Recall(op) = operation {
        return op.settle(system);
    }
    if let Operation::Revert(op) = operation
        && let Some(why) = op.is_pointless(system)
    {
        return Outcome::Skipped(why);
    }
    let work = operation.converge();
    match (work.check(system), mode) {
        (Ok(None), Mode::Check) => Outcome::Ok,
        (Ok(None), Mode::Apply) => {
            work.confirm(system);
            Outcome::Ok
        }
        (Ok(Some(_)), Mode::Check) if matches!(operation, Operation::Command(command) if !command.changes) => {
            Outcome::Skipped("a command that counts as no change is not run only to look".to_owned())
        }
        (Ok(Some(difference)), Mode::Check) => {
            Outcome::WouldChange(work.explain(system, dialogue, difference))
        }
        (Ok(Some(difference)), Mode::Apply) => {
            work.apply(system, dialogue, &difference).unwrap_or_else(Outcome::Failed)
        }
        (Err(failure), _) => Outcome::Failed(failure),
    }
}
