//! `audit`: the production checklist, with results and evidence.

use apim_protocol::observation::Answer;
use apim_protocol::outcome::{Failure, Outcome};
use apim_protocol::query::Query;
use serde_json::json;

use crate::app::exit::{Exit, Kind};
use crate::app::options::{Files, Reach, Shown};
use crate::app::read;
use crate::app::rollout::request::{Common, RolloutRequest};
use crate::app::rollout::{self, Finished};
use crate::app::secret_files::Open;
use crate::app::verb::Verb;
use crate::report::style::{count, harmless};
use crate::report::table::{Paint, Table};
use crate::report::{self, Look, Style};
use apim_product::audit::{self, Item, State};
use apim_rollout::engine::HostEnd;

/// Options of `audit`.
#[derive(Debug, Clone)]
pub(crate) struct AuditRequest {
    pub(crate) files: Files,
    pub(crate) reach: Reach,
    pub(crate) shown: Shown,
    /// Contact no host; audit the inventory only
    pub(crate) offline: bool,
}

pub(crate) fn run(args: AuditRequest) -> Result<Kind, Exit> {
    let AuditRequest { files, reach, shown, offline } = args;
    if offline {
        let look = shown.look();
        let read = read::cluster(&files)?;
        let items = audit::items(&read.cluster, None, &words(&read.open));
        return show(&items, &look, false);
    }
    let common = Common { files, reach, shown };
    let request = RolloutRequest::check(Verb::Audit, common).with_playbook("audit.yaml");
    let mut finished = rollout::run(&request)?;
    if finished.result.interrupted {
        return Ok(Kind::Interrupted);
    }
    let items = audit::items(&finished.cluster, Some(&answers(&finished)), &words(&finished.open));
    let unreached = finished.result.hosts.values().any(|host| host.end != HostEnd::Done);
    let kind = show(&items, &finished.look, unreached)?;
    if !finished.look.json {
        // The table shows the observations; report only unreachable hosts.
        finished.result.outcomes.clear();
        report::say(&report::failure::text(
            &finished.plan,
            &finished.result,
            &finished.titles,
            finished.look.out,
        ))?;
    }
    Ok(kind)
}

fn words(open: &[Open]) -> Vec<String> {
    let place = |one: &Open| one.span.file_name().map(|file| format!(" ({file}:{})", one.span.line));
    open.iter().map(|one| format!("{}{}", one.what, place(one).unwrap_or_default())).collect()
}

fn answers(finished: &Finished) -> Vec<audit::HostAnswers<'_>> {
    let mut found = Vec::new();
    for lane in finished.plan.lanes() {
        for step in lane.steps.iter().filter(|step| matches!(step.query(), Some(Query::Examine(_)))) {
            let answers: Result<&[Answer], Failure> = match finished.result.outcomes.get(&step.id) {
                Some(Outcome::Observed(seen)) => Ok(seen.answers.as_slice()),
                Some(Outcome::Failed(failure)) => Err(failure.clone()),
                _ => Err(Failure::new("unreachable")),
            };
            found.push(audit::HostAnswers { host: lane.host.0.as_str(), answers });
        }
    }
    found
}

fn show(items: &[Item], look: &Look, unreached: bool) -> Result<Kind, Exit> {
    let fails = unreached || items.iter().any(Item::fails);
    if look.json {
        for item in items {
            report::say(&object(item))?;
        }
        report::say(&json!({"event": "audit", "passed": !fails}).to_string())?;
    } else {
        report::say(&text(items, look.verbosity > 0, look.out))?;
    }
    Ok(if fails { Kind::Failed } else { Kind::Converged })
}

fn object(item: &Item) -> String {
    let word = |state: State| match state {
        State::NotApplicable => "not_applicable",
        State::Holds => "holds",
        State::Unknown => "unknown",
        State::Broken => "broken",
    };
    let evidence: Vec<_> = item
        .evidence
        .iter()
        .map(|one| json!({"host": one.host, "state": word(one.state), "found": one.found}))
        .collect();
    json!({
        "event": "item", "name": item.name, "what": item.what, "required": item.required,
        "state": word(item.state()), "evidence": evidence, "remedy": item.remedy, "source": item.source,
    })
    .to_string()
}

fn text(items: &[Item], verbose: bool, style: Style) -> String {
    let mut table = Table::new(style, &["item", "", "evidence"]);
    for item in items {
        let state = item.state();
        let paint = match (state, item.required) {
            (State::Holds, _) => Paint::Good,
            (State::Broken, true) => Paint::Bad,
            (State::Broken, false) => Paint::Change,
            _ => Paint::Plain,
        };
        let words = match (state, item.required) {
            (State::Broken, false) => "advised",
            _ => state.words(),
        };
        table.row([
            (item.what.to_owned(), Paint::Plain),
            (words.to_owned(), paint),
            (evidence(item, verbose), Paint::Plain),
        ]);
    }
    let mut text = table.text();
    let broken: Vec<&Item> = items.iter().filter(|item| item.state() == State::Broken).collect();
    if !broken.is_empty() {
        text.push('\n');
    }
    for item in &broken {
        let word = if item.required { style.bad(item.name) } else { style.change(item.name) };
        text.push_str(&format!("{word}: {} ({})\n", harmless(item.remedy), item.source));
    }
    let failed = items.iter().filter(|item| item.fails()).count();
    let open = items.iter().filter(|item| item.state() == State::Unknown).count();
    let verdict = match (failed, open) {
        (0, 0) => style.good("all required items pass"),
        (0, open) => style.change(format!("no required item fails; {} unknown", count(open, "item"))),
        (failed, _) => style.bad(format!(
            "{} required {}",
            failed,
            if failed == 1 { "item fails" } else { "items fail" }
        )),
    };
    text.push_str(&format!("\n{verdict}\n"));
    text
}

/// Returns the worst findings, hosts with the same finding grouped; all findings if verbose.
fn evidence(item: &Item, verbose: bool) -> String {
    let state = item.state();
    let mut lines: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in item.evidence.iter().filter(|one| verbose || one.state == state) {
        let hosts = match lines.iter_mut().find(|(found, _)| *found == one.found) {
            Some((_, hosts)) => hosts,
            None => {
                lines.push((&one.found, Vec::new()));
                let Some((_, hosts)) = lines.last_mut() else { continue };
                hosts
            }
        };
        if let Some(host) = one.host.as_deref().filter(|host| !hosts.contains(host)) {
            hosts.push(host);
        }
    }
    let shown = if verbose || state == State::Broken { lines.len() } else { 1 };
    let more = lines.len().saturating_sub(shown);
    let mut shown_lines: Vec<String> =
        lines
            .iter()
            .take(shown)
            .map(|(found, hosts)| {
                if hosts.is_empty() { (*found).to_owned() } else { format!("{}: {found}", hosts.join(", ")) }
            })
            .collect();
    if more > 0 {
        shown_lines.push(format!("… and {more} more (-v)"));
    }
    shown_lines.join("\n")
}
