//! The behaviour of operations, and `converge`, the only caller of `apply`.
//!
//! One file per operation: its `check` and its `apply`. An operation knows Unix and nothing else. Its data is in
//! `apim_protocol::operation`.

use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Outcome;

use crate::system::System;
use converge::{Converge, Finding};
use support::dialogue::Dialogue;

mod absent;
mod account;
mod archive;
mod block;
mod bundle;
mod command;
pub mod converge;
mod directory;
mod download;
mod execute;
mod file;
mod group;
mod line;
mod link;
mod prune;
mod remove_account;
mod revert;
pub mod support;
mod sysctl;
#[cfg(test)]
pub(crate) mod testing;
mod uninstall_releases;
pub(crate) mod unit;
pub(crate) mod wait;

/// Returns the behaviour of `operation`.
fn behaviour(operation: &Operation) -> &dyn Converge {
    match operation {
        Operation::Directory(data) => data,
        Operation::File(data) => data,
        Operation::Link(data) => data,
        Operation::Absent(data) => data,
        Operation::Archive(data) => data,
        Operation::Prune(data) => data,
        Operation::UninstallReleases(data) => data,
        Operation::Download(data) => data,
        Operation::Bundle(data) => data,
        Operation::Block(data) => data,
        Operation::Line(data) => data,
        Operation::Group(data) => data,
        Operation::Account(data) => data,
        Operation::RemoveAccount(data) => data,
        Operation::Command(data) => data,
        Operation::Unit(data) => data.as_ref(),
        Operation::Revert(data) => data.as_ref(),
        Operation::Wait(data) => data.as_ref(),
        Operation::Sysctl(data) => data,
        Operation::Execute(data) => data,
    }
}

/// Makes the host match `operation`, or in check mode returns what would change.
pub fn converge(operation: &Operation, mode: Mode, system: &System, dialogue: &mut dyn Dialogue) -> Outcome {
    let work = behaviour(operation);
    match (work.check(system), mode) {
        (Err(failure), _) => Outcome::Failed(failure),
        (Ok(Finding::NotApplicable(why)), _) => Outcome::Skipped(why),
        (Ok(Finding::UpToDate), Mode::Check) => Outcome::Ok,
        (Ok(Finding::UpToDate), Mode::Apply) => {
            work.confirm(system);
            Outcome::Ok
        }
        (Ok(Finding::Differs(difference)), Mode::Check) => work.preview(system, dialogue, difference),
        (Ok(Finding::Differs(difference)), Mode::Apply) => {
            work.apply(system, dialogue, &difference).unwrap_or_else(Outcome::Failed)
        }
    }
}
