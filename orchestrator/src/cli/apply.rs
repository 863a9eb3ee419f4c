//! `apply`: bring the hosts to what inventory and playbook say.

use std::path::PathBuf;

use apim_protocol::operation::Mode;

use super::bound::{self, Bind};
use super::exit::{Exit, Kind};
use super::installed::Installed;
use super::options::{Files, Plays, Reach, Shown};
use super::pipeline::{self, Rolling, Wanted};
use super::probe::Probe;
use crate::report::{self, changes};

/// Options of `apply`.
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
    /// Change nothing: show what would change
    #[arg(short = 'C', long, conflicts_with = "probe")]
    check: bool,
    /// Show differences of text files
    #[arg(short = 'D', long)]
    diff: bool,
    /// Do exactly what a plan says that `plan --out` wrote, or refuse (exit code 4) and say what has moved since
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    probe: Probe,
}

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { mut files, mut plays, mut reach, shown, check, diff, plan, probe } = args;
    let bind = match &plan {
        Some(path) => bound::read(path, &mut files, &mut plays, &mut reach)?,
        None => Bind::No,
    };
    let mode = if check { Mode::Check } else { Mode::Apply };
    let rolling = Rolling::default();
    let wanted = Wanted {
        verb: "apply",
        mode,
        files,
        plays,
        reach,
        shown,
        diff,
        inspects: false,
        judges: true,
        rolling,
        bind,
        probe,
    };
    let ended = pipeline::run(&wanted)?;
    let look = ended.look;
    if mode == Mode::Apply {
        let mut installed = Installed::of(&wanted.files.inventory);
        installed.add(&ended.cluster, &ended.plan, &ended.result);
        installed.save();
    }
    if (check || (diff && ended.result.changes() > 0)) && !look.json {
        let detail = changes::Detail { diff, all: look.verbosity > 0 };
        report::say(&changes::text(&ended.plan, &ended.result, detail, look.out))?;
    }
    ended.conclude()
}
