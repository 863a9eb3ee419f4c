//! Which steps the survey has settled for good: those that look at nothing but their own host, as long as nothing was done there.

use apim_agent::operation::Operation;
use apim_agent::operation::wait::{Condition, Scope};

use crate::plan::model::{ShiftWish, Step, Work};

/// Says whether what a look at `step` finds depends on its own host alone. What looks at peers, or may (a command), does not: that
/// nothing was done on this host says nothing about them.
pub(super) fn is_of_its_host(step: &Step) -> bool {
    if let Work::Shift(shift) = &step.work {
        return shift.wish == ShiftWish::Returned;
    }
    // What we do ourselves for a host is about somebody else.
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
        // What was answered before the first change is what was judged.
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
        Condition::Http { scope, .. } => *scope == Scope::Local,
        Condition::Tcp { .. } | Condition::Connected { .. } | Condition::Where { .. } => false,
    }
}
