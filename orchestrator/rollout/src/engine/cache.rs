//! Selects steps whose survey result stays valid: those that depend on their own host only, as long
//! as nothing was changed there.

use apim_product::hook::ShiftSpec;
use apim_product::work::Work;

use crate::plan::model::Step;

/// Returns whether the check of `step` depends on its own host only. Steps that check peers, or may
/// do so (commands), do not: an unchanged host says nothing about its peers.
pub(super) fn is_of_its_host(step: &Step) -> bool {
    match &step.work {
        Work::Host(operation) => operation.is_host_local(),
        Work::Query(query) => query.is_host_local(),
        Work::Shift(shift) => shift.spec == ShiftSpec::UndrainIfDrained,
        // Local tasks check other machines.
        Work::Database(_) => false,
    }
}
