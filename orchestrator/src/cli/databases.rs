//! `databases`: show database status, or print the setup statements.

use super::exit::{Exit, Kind};
use super::options::{Files, Reach, Shown};
use super::pipeline::{self, Wanted};
use super::read;
use crate::report::{self, changes};
use apim_rollout::database::by_hand;

/// Options of `databases`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pub(super) shown: Shown,
    /// Print the SQL statements that create databases, users and schemas; contacts no host
    #[arg(long)]
    print_sql: bool,
}

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { files, reach, shown, print_sql } = args;
    if print_sql {
        let read = read::cluster(&files)?;
        let text = by_hand::text(&read.cluster)
            .ok_or_else(|| Exit::new(Kind::Usage, "nothing to create: the nodes use local H2 files"))?;
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
