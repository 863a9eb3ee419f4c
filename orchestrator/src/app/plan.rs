//! `plan`: check every host and show what apply would change.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::app::exit::{Exit, Kind};
use crate::app::inputs::Inputs;
use crate::app::options::{Files, Plays, Reach, Shown};
use crate::app::read;
use crate::app::rollout;
use crate::app::rollout::request::{Common, RolloutRequest, SavedPlanUse};
use crate::app::verb::Verb;
use crate::report::{self, changes, remark};
use apim_rollout::artifact::Cache;
use apim_rollout::plan::show;

/// Options of `plan`.
#[derive(Debug, Clone)]
pub(crate) struct PlanRequest {
    pub(crate) files: Files,
    pub(crate) plays: Plays,
    pub(crate) reach: Reach,
    pub(crate) shown: Shown,
    /// Exit with code 3 if changes are pending
    pub(crate) exit_code: bool,
    /// Contact no host; show stages and steps only
    pub(crate) offline: bool,
    /// Save the plan to a file for `apply --plan`; issues due certificates and fetches missing
    /// files
    pub(crate) out: Option<PathBuf>,
    /// Do not show the diffs of text files
    pub(crate) no_diff: bool,
    /// Show the diffs of text files (the default)
    pub(crate) diff: bool,
}

pub(crate) fn run(args: PlanRequest) -> Result<Kind, Exit> {
    let PlanRequest { files, plays, reach, shown, exit_code, offline, out, no_diff, diff } = args;
    if offline {
        let look = shown.look();
        let (inputs, drafted) = Inputs::drafted(&files, &plays, &Cache::of_user())?;
        read::report(&inputs.read, &look)?;
        let plan = drafted.finish(&BTreeMap::new());
        report::say(&if look.json { show::json(&plan) } else { show::text(&plan) })?;
        return Ok(Kind::Converged);
    }
    let common = Common { files, reach, shown };
    let request = RolloutRequest {
        plays,
        diff: diff || !no_diff,
        saved_plan: if out.is_some() { SavedPlanUse::Save } else { SavedPlanUse::None },
        ..RolloutRequest::check(Verb::Plan, common)
    };
    let mut finished = rollout::run(&request)?;
    let look = finished.look;
    if look.json {
        finished.conclude()?;
    } else {
        let detail = changes::Detail { diff: look.diff, all: look.verbosity > 0 };
        report::say(&changes::text(&finished.plan, &finished.result, detail, look.out))?;
        report::say(&report::failure::text(&finished.plan, &finished.result, &finished.titles, look.out))?;
    }
    let kind = rollout::kind(&finished.result);
    match (&out, finished.binding.take()) {
        (Some(path), Some(binding)) if kind == Kind::Converged => {
            binding.write(path, &finished.plan, &finished.result, &look)?
        }
        (Some(path), _) => {
            remark(&format!(
                "the plan was not saved to `{}`: not all hosts were checked completely",
                path.display()
            ));
        }
        (None, _) => {}
    }
    Ok(match kind {
        Kind::Converged if exit_code && finished.result.changes() > 0 => Kind::Pending,
        kind => kind,
    })
}
