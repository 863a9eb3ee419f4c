//! `preflight`: check host prerequisites.

use apim_protocol::outcome::{Failure, Outcome};
use apim_protocol::query::Query;
use serde_json::json;

use crate::app::exit::{Exit, Kind};
use crate::app::options::{Files, Reach, Shown};
use crate::app::preflight_gate::{Heard, judged};
use crate::app::rollout::request::{Common, RolloutRequest};
use crate::app::rollout::{self, Finished};
use crate::app::verb::Verb;
use crate::report::style::{count, harmless};
use crate::report::table::{Paint, Table};
use crate::report::{self, Style};
use apim_product::preflight::{Check, Row, Status};
use apim_rollout::engine::HostEnd;

/// Options of `preflight`.
#[derive(Debug, Clone)]
pub(crate) struct PreflightRequest {
    pub(crate) files: Files,
    pub(crate) reach: Reach,
    pub(crate) shown: Shown,
}

pub(crate) fn run(args: PreflightRequest) -> Result<Kind, Exit> {
    let PreflightRequest { files, reach, shown } = args;
    let common = Common { files, reach, shown };
    let request = RolloutRequest::check(Verb::Preflight, common).with_playbook("preflight.yaml");
    let mut finished = rollout::run(&request)?;
    if finished.result.interrupted {
        return Ok(Kind::Interrupted);
    }
    let rows = rows(&finished);
    let look = finished.look;
    let unreached = finished.result.hosts.values().any(|host| host.end != HostEnd::Done);
    let fails = rows.iter().any(|row| row.status == Status::Fail) || unreached || rows.is_empty();
    if look.json {
        for row in &rows {
            report::say(&object(row))?;
        }
        report::say(&json!({"event": "preflight", "passed": !fails}).to_string())?;
    } else {
        report::say(&text(&rows, look.verbosity > 0, look.out))?;
        // The table shows the observations; report only unreachable hosts.
        finished.result.outcomes.clear();
        report::say(&report::failure::text(&finished.plan, &finished.result, &finished.titles, look.out))?;
    }
    Ok(if fails { Kind::Failed } else { Kind::Converged })
}

fn rows(finished: &Finished) -> Vec<Row> {
    let lanes = finished.plan.lanes();
    let steps = lanes.flat_map(|lane| lane.steps.iter().map(move |step| (&lane.host, step)));
    let asked = steps.filter(|(_, step)| matches!(step.query(), Some(Query::Examine(_))));
    let heard: Vec<Heard<'_>> = asked
        .map(|(host, step)| Heard {
            host: &host.0,
            facts: finished.result.hosts.get(host).and_then(|host| host.facts.as_ref()),
            answers: match finished.result.outcomes.get(&step.id) {
                Some(Outcome::Observed(seen)) => Ok(seen.answers.as_slice()),
                Some(Outcome::Failed(failure)) => Err(failure.clone()),
                _ => Err(Failure::new("unreachable")),
            },
            heard: finished.result.heard.get(&step.id).copied(),
        })
        .collect();
    judged(&finished.cluster, &heard, &finished.sizes)
}

fn object(row: &Row) -> String {
    json!({
        "event": "check", "host": row.host, "check": row.check.word(),
        "status": row.status.word().to_lowercase(), "found": row.found, "remedy": row.remedy,
    })
    .to_string()
}

/// Renders a table with one line per check and result, hosts with equal results grouped, and the
/// remedies below it.
fn text(rows: &[Row], verbose: bool, style: Style) -> String {
    let mut lines: Vec<(&Row, Vec<&str>)> = Vec::new();
    for check in Check::ALL {
        for row in rows.iter().filter(|row| row.check == check) {
            let same = |known: &&mut (&Row, Vec<&str>)| {
                let (first, _) = known;
                // Passed checks are grouped even if their findings differ, unless verbose.
                let alike = first.found == row.found || (!verbose && row.status == Status::Ok);
                first.check == row.check && first.status == row.status && alike
            };
            match lines.iter_mut().find(same) {
                Some((_, hosts)) => hosts.push(&row.host),
                None => lines.push((row, vec![&row.host])),
            }
        }
    }
    let mut table = Table::new(style, &["check", "status", "hosts", "found"]);
    let mut remedies: Vec<(&Row, &str)> = Vec::new();
    for (row, hosts) in &lines {
        let paint = match row.status {
            Status::Ok => Paint::Good,
            Status::Unknown => Paint::Plain,
            Status::Warn => Paint::Change,
            Status::Fail => Paint::Bad,
        };
        let of_check = rows.iter().filter(|other| other.check == row.check);
        let differ =
            hosts.len() > 1 && of_check.filter(|o| o.status == row.status).any(|o| o.found != row.found);
        let hosts = match (hosts.len(), rows.iter().filter(|other| other.check == row.check).count()) {
            (one, all) if one == all && all > 1 => format!("all {all}"),
            _ => hosts.join(", "),
        };
        let found = if differ { format!("{}, …", row.found) } else { row.found.clone() };
        table.row([
            (row.check.word().to_owned(), Paint::Plain),
            (row.status.word().to_owned(), paint),
            (hosts, Paint::Plain),
            (found, Paint::Plain),
        ]);
        if let Some(remedy) = &row.remedy
            && row.status >= Status::Warn
            && !remedies.iter().any(|(_, known)| known == remedy)
        {
            remedies.push((row, remedy));
        }
    }
    let mut text = table.text();
    if !remedies.is_empty() {
        text.push('\n');
    }
    for (row, remedy) in remedies {
        let word = if row.status == Status::Fail {
            style.bad(row.check.word())
        } else {
            style.change(row.check.word())
        };
        text.push_str(&format!("{word}: {}\n", harmless(remedy)));
    }
    let number = |status| rows.iter().filter(|row| row.status == status).count();
    let (failed, warned) = (number(Status::Fail), number(Status::Warn));
    let words = format!("{}, {}", count(failed, "failure"), count(warned, "warning"));
    text.push_str(&format!(
        "\n{}\n",
        match (failed, warned) {
            (0, 0) => style.good("the hosts are ready"),
            (0, _) => style.change(words),
            _ => style.bad(words),
        }
    ));
    text
}
