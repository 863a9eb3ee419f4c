//! `databases`: show database status, or print the setup statements.

use crate::app::exit::{Exit, Kind};
use crate::app::options::{Files, Reach, Shown};
use crate::app::read;
use crate::app::rollout;
use crate::app::rollout::request::{Common, RolloutRequest};
use crate::app::verb::Verb;
use crate::report::{self, changes};
use apim_rollout::local_tasks::database::by_hand;

/// Options of `databases`.
#[derive(Debug, Clone)]
pub(crate) struct DatabasesRequest {
    pub(crate) files: Files,
    pub(crate) reach: Reach,
    pub(crate) shown: Shown,
    /// Print the SQL statements that create databases, users and schemas; contacts no host
    pub(crate) print_sql: bool,
}

pub(crate) fn run(args: DatabasesRequest) -> Result<Kind, Exit> {
    let DatabasesRequest { files, reach, shown, print_sql } = args;
    if print_sql {
        let read = read::cluster(&files)?;
        let text = by_hand::text(&read.cluster)
            .ok_or_else(|| Exit::new(Kind::Usage, "nothing to create: the nodes use local H2 files"))?;
        report::say(&text)?;
        return Ok(Kind::Converged);
    }
    let common = Common { files, reach, shown };
    let request = RolloutRequest::check(Verb::Databases, common).with_playbook("databases");
    let finished = rollout::run(&request)?;
    let look = finished.look;
    if look.json {
        finished.conclude()?;
    } else {
        let detail = changes::Detail { diff: false, all: true };
        report::say(&changes::text(&finished.plan, &finished.result, detail, look.out))?;
        report::say(&report::failure::text(&finished.plan, &finished.result, &finished.titles, look.out))?;
    }
    Ok(rollout::kind(&finished.result))
}
