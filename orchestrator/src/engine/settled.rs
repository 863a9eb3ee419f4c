//! Which steps the survey has settled for good: those that depend on nothing but their own host, as long as nothing was done there.

use crate::plan::model::{ShiftWish, Step, Work};

/// Says whether what a check of `step` finds depends on its own host alone.
pub(super) fn is_of_its_host(step: &Step) -> bool {
    match &step.work {
        Work::Host(operation) => operation.is_host_local(),
        Work::Query(query) => query.is_host_local(),
        Work::Shift(shift) => shift.wish == ShiftWish::Returned,
        // Work of the orchestrator involves other hosts.
        Work::Database(_) => false,
    }
}
