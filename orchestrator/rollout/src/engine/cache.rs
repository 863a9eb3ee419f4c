//! Selects steps whose survey result stays valid: those that depend on their own host only, as long
//! as nothing was changed there.

use apim_agent::operation::Operation;
use apim_agent::operation::wait::Condition;

use crate::plan::model::Step;
use apim_product::hook::ShiftSpec;
use apim_product::work::Work;

/// Returns whether the check of `step` depends on its own host only. Steps that check peers, or may
/// do so (commands), do not: an unchanged host says nothing about its peers.
pub(super) fn is_of_its_host(step: &Step) -> bool {
    if let Work::Shift(shift) = &step.work {
        return shift.spec == ShiftSpec::UndrainIfDrained;
    }
    // Local tasks check other machines.
    let Some(operation) = step.operation() else { return false };
    match operation {
        Operation::Directory(_)
        | Operation::File(_)
        | Operation::Link(_)
        | Operation::Absent(_)
        | Operation::Prune(_)
        | Operation::Vacate(_)
        | Operation::Archive(_)
        | Operation::Download(_)
        | Operation::Block(_)
        | Operation::Bundle(_)
        | Operation::Line(_)
        | Operation::Group(_)
        | Operation::Account(_)
        | Operation::Disowned(_)
        | Operation::Sysctl(_)
        | Operation::Unit(_)
        | Operation::Revert(_) => true,
        // The preflight used the answers from before the first change.
        Operation::Examine(_) => true,
        Operation::Wait(wait) => wait.conditions.iter().all(is_local),
        Operation::Command(_)
        | Operation::Inspect(_)
        | Operation::Execute(_)
        | Operation::Follow(_)
        | Operation::Recall(_) => false,
    }
}

fn is_local(condition: &Condition) -> bool {
    match condition {
        Condition::Process(_)
        | Condition::Listens { .. }
        | Condition::Logged { .. }
        | Condition::Exists(_)
        | Condition::Quiet { .. }
        | Condition::Version { .. } => true,
        Condition::Http { url, .. } => {
            ["http://127.0.0.1:", "https://127.0.0.1:"].iter().any(|own| url.starts_with(own))
        }
        Condition::Tcp { .. } | Condition::Connected { .. } | Condition::Where { .. } => false,
    }
}
