//! `databases`: how the databases stand, or what their administrator would run.

use super::exit::{Exit, Kind};
use super::options::{Files, Reach, Shown};
use super::pipeline::{self, Wanted};
use super::read;
use crate::database::by_hand;
use crate::report::{self, changes};

/// Options of `databases`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pub(super) shown: Shown,
    /// Contact nobody: print what an administrator of the server runs to make databases, users and schemas
    #[arg(long)]
    print_sql: bool,
}

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { files, reach, shown, print_sql } = args;
    if print_sql {
        let read = read::cluster(&files)?;
        let text = by_hand::text(&read.cluster).ok_or_else(|| {
            Exit::new(
                Kind::Usage,
                "the nodes keep their data in H2 files of their own: there is nothing to make",
            )
        })?;
        report::say(&text)?;
        return Ok(Kind::Converged);
    }
    let wanted = Wanted::look("databases", Some("databases"), (files, reach, shown));
    let ended = pipeline::run(&wanted)?;
    let look = ended.look;
    if look.json {
        ended.conclude()?;
    } else {
        let detail = changes::Detail { diff: false, all: true };
        report::say(&changes::text(&ended.plan, &ended.result, detail, look.out))?;
        report::say(&report::failure::text(&ended.plan, &ended.result, look.out))?;
    }
    Ok(pipeline::kind(&ended.result))
}
