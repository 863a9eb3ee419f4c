//! `plan`: check every host and show what apply would change.

use std::collections::BTreeMap;
use std::path::PathBuf;

use apim_protocol::operation::Mode;

use super::bound::Bind;
use super::exit::{Exit, Kind};
use super::options::{Files, Output, Plays, Reach, Shown};
use super::pipeline::{self, Rolling, Wanted};
use super::probe::Probe;
use super::read;
use crate::report::{self, Look, changes, remark};
use apim_rollout::plan::show;

/// Options of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    plays: Plays,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pub(super) shown: Shown,
    /// Exit with code 3 if changes are pending
    #[arg(long)]
    exit_code: bool,
    /// Contact no host; show stages and steps only
    #[arg(long, conflicts_with = "exit_code")]
    offline: bool,
    /// Save the plan to a file for `apply --plan`; issues due certificates and fetches missing
    /// files
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    out: Option<PathBuf>,
    /// Do not show the diffs of text files
    #[arg(long)]
    no_diff: bool,
    /// Show the diffs of text files (the default)
    #[arg(long, overrides_with = "no_diff")]
    diff: bool,
}

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { files, plays, reach, shown, exit_code, offline, out, no_diff, diff } = args;
    if offline {
        let look = Look::detect(shown.output == Output::Json, shown.verbose, false);
        let (read, _, drafted) = read::all(&files, &plays)?;
        read::tell(&read, &look)?;
        let plan = drafted.finish(&BTreeMap::new());
        report::say(&if shown.output == Output::Json { show::json(&plan) } else { show::text(&plan) })?;
        return Ok(Kind::Converged);
    }
    let wanted = Wanted {
        verb: "plan",
        mode: Mode::Check,
        files,
        plays,
        reach,
        shown,
        diff: diff || !no_diff,
        inspects: false,
        judges: true,
        rolling: Rolling::default(),
        bind: if out.is_some() { Bind::Make } else { Bind::No },
        probe: Probe::default(),
    };
    let mut ended = pipeline::run(&wanted)?;
    let look = ended.look;
    if look.json {
        ended.conclude()?;
    } else {
        let detail = changes::Detail { diff: look.diff, all: look.verbosity > 0 };
        report::say(&changes::text(&ended.plan, &ended.result, detail, look.out))?;
        report::say(&report::failure::text(&ended.plan, &ended.result, look.out))?;
    }
    let kind = pipeline::kind(&ended.result);
    match (&out, ended.binding.take()) {
        (Some(path), Some(binding)) if kind == Kind::Converged => binding.write(path, &ended)?,
        (Some(path), _) => {
            remark(&format!(
                "the plan was not saved to `{}`: not all hosts were checked completely",
                path.display()
            ));
        }
        (None, _) => {}
    }
    Ok(match kind {
        Kind::Converged if exit_code && ended.result.changes() > 0 => Kind::Pending,
        kind => kind,
    })
}
