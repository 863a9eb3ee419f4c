//! What of an outcome may be shown: nothing, where the author of the task asked for that (`no_log`).

use apim_protocol::outcome::{Difference, Failure, Outcome};

use super::hooks;
use crate::plan::model::{Shift, ShiftWish, Step, Work};

/// Returns the outcome as it may be shown.
pub(super) fn outcome(step: &Step, outcome: Outcome) -> Outcome {
    let outcome = match (&step.work, outcome) {
        // The agent speaks of the file that says so.
        (Work::Shift(Shift { hooks, wish: ShiftWish::Returned }), Outcome::WouldChange(_)) => {
            Outcome::WouldChange(hooks::calls(&hooks.undrain))
        }
        (_, outcome) => outcome,
    };
    if !step.no_log {
        return outcome;
    }
    let nothing = || Difference::one("hidden (no_log)");
    match outcome {
        Outcome::Ok | Outcome::Observed(_) => Outcome::Ok,
        Outcome::WouldChange(_) => Outcome::WouldChange(nothing()),
        Outcome::Changed(_) => Outcome::Changed(nothing()),
        Outcome::Skipped(_) => Outcome::Skipped("hidden (no_log)".to_owned()),
        Outcome::Failed(_) => {
            let failure = Failure::new("it failed, and `no_log` hides the details");
            Outcome::Failed(failure.hint("take `no_log` away from the task to see them"))
        }
    }
}
