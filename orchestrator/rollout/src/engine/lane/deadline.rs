//! Deadlines of operations.

use std::time::Duration;

use apim_protocol::operation::Operation;
use apim_protocol::operation::command::Invocation;

/// Returns how long `operation` may take by its own settings without reporting progress.
pub(super) fn own_deadline(operation: &Operation) -> Duration {
    let seconds = match operation {
        Operation::Wait(wait) => {
            let remedy = wait.remedy.as_ref().map_or(0, |remedy| remedy.stop_timeout_secs);
            wait.deadline_secs.saturating_add(remedy)
        }
        Operation::Command(command) => deadline_of(&command.run),
        Operation::Bundle(bundle) => bundle.verify.iter().chain([&bundle.tell]).map(deadline_of).sum(),
        Operation::Execute(execute) => deadline_of(&execute.run),
        Operation::Archive(archive) => archive.prepare.iter().map(|one| deadline_of(&one.command)).sum(),
        Operation::Unit(unit) => unit.stop_timeout_secs,
        Operation::Revert(revert) => revert.stop_timeout_secs,
        Operation::Directory(_)
        | Operation::File(_)
        | Operation::Link(_)
        | Operation::Absent(_)
        | Operation::Prune(_)
        | Operation::Vacate(_)
        | Operation::Download(_)
        | Operation::Block(_)
        | Operation::Line(_)
        | Operation::Group(_)
        | Operation::Account(_)
        | Operation::Disowned(_)
        | Operation::Inspect(_)
        | Operation::Sysctl(_)
        | Operation::Examine(_)
        | Operation::Follow(_)
        | Operation::Recall(_) => 0,
    };
    Duration::from_secs(seconds.min(24 * 3600))
}

/// The agent limits a command without a timeout to five minutes.
fn deadline_of(command: &Invocation) -> u64 {
    if command.timeout_secs == 0 { 300 } else { command.timeout_secs }
}
