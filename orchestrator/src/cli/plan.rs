//! `plan`: show what apply would change, having looked at every host.

use std::collections::BTreeMap;
use std::path::PathBuf;

use apim_protocol::operation::Mode;

use super::bound::Bind;
use super::exit::{Exit, Kind};
use super::options::{Files, Output, Plays, Reach, Shown};
use super::pipeline::{self, Rolling, Wanted};
use super::probe::Probe;
use super::read;
use crate::plan::show;
use crate::report::{self, Look, changes, remark};

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
    /// End with 3 when something would change
    #[arg(long)]
    exit_code: bool,
    /// Contact no host: show stages and steps only
    #[arg(long, conflicts_with = "exit_code")]
    offline: bool,
    /// Write the plan to a file that `apply --plan` carries out exactly; what is due for that is issued and fetched here
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    out: Option<PathBuf>,
    /// Leave out differences of text files
    #[arg(long)]
    no_diff: bool,
    /// Show differences of text files, as `plan` does anyway
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
                "no plan was written to `{}`: not every host was looked at to the end",
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
