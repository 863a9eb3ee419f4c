//! `preflight`: check host prerequisites. Also provides the preflight gate that apply runs between
//! checking and changing hosts.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use apim_protocol::observation::Answer;
use apim_protocol::outcome::{Failure, Outcome};
use apim_protocol::query::Query;
use apim_protocol::value::Sha256;
use serde_json::json;

use super::exit::{Exit, Kind};
use super::moves::{self, Move};
use super::options::{Files, Reach, Shown};
use super::pipeline::{self, Ended, Wanted};
use crate::report::style::{count, harmless};
use crate::report::table::{Paint, Table};
use crate::report::{self, Style};
use apim_product::Cluster;
use apim_product::preflight::{self, Check, Row, Seen, Status};
use apim_rollout::artifact::Cache;
use apim_rollout::engine::{HostEnd, Preflight, PreflightResult};

/// Options of `preflight`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pub(super) shown: Shown,
}

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { files, reach, shown } = args;
    let wanted = Wanted::look("preflight", Some("preflight.yaml"), (files, reach, shown));
    let mut ended = pipeline::run(&wanted)?;
    if ended.result.interrupted {
        return Ok(Kind::Interrupted);
    }
    let rows = rows(&ended);
    let look = ended.look;
    let unreached = ended.result.hosts.values().any(|host| host.end != HostEnd::Done);
    let fails = rows.iter().any(|row| row.status == Status::Fail) || unreached || rows.is_empty();
    if look.json {
        for row in &rows {
            report::say(&object(row))?;
        }
        report::say(&json!({"event": "preflight", "passed": !fails}).to_string())?;
    } else {
        report::say(&text(&rows, look.verbosity > 0, look.out))?;
        // The table shows the observations; report only unreachable hosts.
        ended.result.outcomes.clear();
        report::say(&report::failure::text(&ended.plan, &ended.result, look.out))?;
    }
    Ok(if fails { Kind::Failed } else { Kind::Converged })
}

/// The answers of one host.
struct Heard<'a> {
    host: &'a str,
    facts: Option<&'a apim_protocol::facts::Facts>,
    answers: Result<&'a [Answer], String>,
    heard: Option<SystemTime>,
}

fn judged(cluster: &Cluster, heard: &[Heard<'_>], sizes: &BTreeMap<Sha256, u64>) -> Vec<Row> {
    let seen: Vec<Seen<'_>> = heard
        .iter()
        .map(|one| Seen {
            host: one.host,
            facts: one.facts,
            answers: one.answers.clone(),
            heard_millis: one.heard.and_then(millis),
        })
        .collect();
    preflight::judge(cluster, &seen, sizes)
}

fn millis(at: SystemTime) -> Option<u64> {
    u64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

fn rows(ended: &Ended) -> Vec<Row> {
    let lanes = ended.plan.stages.iter().flat_map(|stage| &stage.lanes);
    let steps = lanes.flat_map(|lane| lane.steps.iter().map(move |step| (&lane.host, step)));
    let asked = steps.filter(|(_, step)| matches!(step.query(), Some(Query::Examine(_))));
    let heard: Vec<Heard<'_>> = asked
        .map(|(host, step)| Heard {
            host: &host.0,
            facts: ended.result.hosts.get(host).and_then(|host| host.facts.as_ref()),
            answers: match ended.result.outcomes.get(&step.id) {
                Some(Outcome::Observed(seen)) => Ok(seen.answers.as_slice()),
                Some(Outcome::Failed(failure)) => Err(failure.what.clone()),
                _ => Err("unreachable".to_owned()),
            },
            heard: ended.result.heard.get(&step.id).copied(),
        })
        .collect();
    judged(&ended.cluster, &heard, &ended.sizes)
}

/// Returns the preflight gate of a run that changes hosts or shows pending changes.
pub(super) fn judge(cluster: &Cluster, sizes: &BTreeMap<Sha256, u64>, cache: &Cache) -> Preflight {
    let (cluster, sizes, cache) = (cluster.clone(), sizes.clone(), cache.clone());
    Preflight(std::sync::Arc::new(move |testimonies| {
        let heard: Vec<Heard<'_>> = testimonies
            .iter()
            .map(|one| Heard {
                host: &one.host.0,
                facts: one.facts.as_ref(),
                answers: one.answers.as_deref().map_err(Clone::clone),
                heard: one.heard,
            })
            .collect();
        let rows = judged(&cluster, &heard, &sizes);
        let mut verdict = PreflightResult::default();
        for one in testimonies {
            let failed: Vec<&Row> =
                rows.iter().filter(|row| row.host == one.host.0 && row.status == Status::Fail).collect();
            if !failed.is_empty() {
                verdict.failures.push((one.step, failure(&failed)));
            }
        }
        let warned: Vec<&Row> = rows.iter().filter(|row| row.status == Status::Warn).collect();
        if !warned.is_empty() {
            let mut checks: Vec<&str> = warned.iter().map(|row| row.check.word()).collect();
            checks.sort_unstable();
            checks.dedup();
            verdict.warnings.push(format!(
                "preflight: {} ({}); `apim-deploy preflight` shows details",
                count(warned.len(), "warning"),
                checks.join(", ")
            ));
        }
        let moves = testimonies.iter().flat_map(|one| &one.moves);
        let moves: Vec<Move> =
            moves.map(|(title, moved)| Move { node: moves::node_of(title), moved: moved.clone() }).collect();
        verdict.warnings.extend(moves::schemas(&cluster, &cache, &moves));
        verdict
    }))
}

fn failure(rows: &[&Row]) -> Failure {
    let mut failure = match rows {
        [only] => Failure::new(format!("{}: {}", only.check.word(), only.found)),
        _ => Failure {
            causes: rows.iter().map(|row| format!("{}: {}", row.check.word(), row.found)).collect(),
            ..Failure::new(format!("{} preflight checks failed", rows.len()))
        },
    };
    let remedies: Vec<&str> = rows.iter().filter_map(|row| row.remedy.as_deref()).collect();
    failure.hint = (!remedies.is_empty()).then(|| remedies.join("\n"));
    failure
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
