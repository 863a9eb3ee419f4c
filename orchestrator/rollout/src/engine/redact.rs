//! Redacts the outcomes of tasks with `no_log`.

use apim_protocol::outcome::{Difference, Failure, Outcome};

use super::hooks;
use crate::plan::model::Step;
use apim_product::hook::{Shift, ShiftSpec};
use apim_product::work::Work;

/// Returns the outcome without its details if the step has `no_log`.
pub(super) fn outcome(step: &Step, outcome: Outcome) -> Outcome {
    let outcome = match (&step.work, outcome) {
        // The agent reports the marker file. Show the hook calls instead.
        (Work::Shift(Shift { hooks, spec: ShiftSpec::UndrainIfDrained }), Outcome::WouldChange(_)) => {
            Outcome::WouldChange(hooks::calls(&hooks.undrain))
        }
        (_, outcome) => outcome,
    };
    if !step.options.no_log {
        return outcome;
    }
    let nothing = || Difference::one("hidden (no_log)");
    match outcome {
        Outcome::Ok | Outcome::Observed(_) => Outcome::Ok,
        Outcome::WouldChange(_) => Outcome::WouldChange(nothing()),
        Outcome::Changed(_) => Outcome::Changed(nothing()),
        Outcome::Skipped(_) => Outcome::Skipped("hidden (no_log)".to_owned()),
        Outcome::Failed(_) => {
            let failure = Failure::new("failed; details hidden by `no_log`");
            Outcome::Failed(failure.hint("remove `no_log` from the task to show them"))
        }
    }
}
