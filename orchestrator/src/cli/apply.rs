//! `apply`: bring the hosts to what inventory and playbook say.

use apim_agent::operation::Mode;

use super::exit::{Exit, Kind};
use super::options::{Files, Plays, Reach, Shown};
use super::pipeline::{self, Rolling, Wanted};
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
    #[arg(short = 'C', long)]
    check: bool,
    /// Show differences of text files
    #[arg(short = 'D', long)]
    diff: bool,
}

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { files, plays, reach, shown, check, diff } = args;
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
    };
    let ended = pipeline::run(&wanted)?;
    let look = ended.look;
    if (check || (diff && ended.result.changes() > 0)) && !look.json {
        let detail = changes::Detail { diff, all: look.verbosity > 0 };
        report::say(&changes::text(&ended.plan, &ended.result, detail, look.out))?;
    }
    report::conclude(&ended.plan, &ended.result, &look)?;
    Ok(pipeline::kind(&ended.result))
}
