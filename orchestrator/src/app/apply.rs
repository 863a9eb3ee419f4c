//! `apply`: apply the inventory to the hosts.

use std::path::PathBuf;

use apim_protocol::operation::Mode;

use crate::app::exit::{Exit, Kind};
use crate::app::installed::Installed;
use crate::app::options::{Files, Plays, ProbeOptions, Reach, Shown};
use crate::app::rollout;
use crate::app::rollout::request::{Common, RolloutRequest, SavedPlanUse};
use crate::app::saved_plan;
use crate::app::verb::Verb;
use crate::report::{self, changes};

/// Options of `apply`.
#[derive(Debug, Clone)]
pub(crate) struct ApplyRequest {
    pub(crate) files: Files,
    pub(crate) plays: Plays,
    pub(crate) reach: Reach,
    pub(crate) shown: Shown,
    /// Show what would change; change nothing
    pub(crate) check: bool,
    /// Show the diffs of text files
    pub(crate) diff: bool,
    /// Apply the saved plan of `plan --out`; exit with code 4 if it is stale
    pub(crate) plan: Option<PathBuf>,
    pub(crate) probe: ProbeOptions,
}

pub(crate) fn run(args: ApplyRequest) -> Result<Kind, Exit> {
    let ApplyRequest { mut files, mut plays, mut reach, shown, check, diff, plan, probe } = args;
    let saved_plan = match &plan {
        Some(path) => saved_plan::read(path, &mut files, &mut plays, &mut reach)?,
        None => SavedPlanUse::None,
    };
    let mode = if check { Mode::Check } else { Mode::Apply };
    let common = Common { files, reach, shown };
    let request =
        RolloutRequest { mode, plays, diff, saved_plan, probe, ..RolloutRequest::check(Verb::Apply, common) };
    let finished = rollout::run(&request)?;
    let look = finished.look;
    if mode == Mode::Apply {
        let mut installed = Installed::of(&request.files.inventory);
        installed.add(&finished.cluster, &finished.plan, &finished.result);
        installed.save();
    }
    if (check || (diff && finished.result.changes() > 0)) && !look.json {
        let detail = changes::Detail { diff, all: look.verbosity > 0 };
        report::say(&changes::text(&finished.plan, &finished.result, detail, look.out))?;
    }
    finished.conclude()
}
