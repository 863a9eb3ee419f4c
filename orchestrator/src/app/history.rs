//! `history`: the runs started from this machine, and the integrity of their records.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::app::exit::{Exit, Kind};
use crate::app::process::absolute;
use crate::report::fold::folded;
use crate::report::history::{Book, End, Ended, Entry, Line, Problem, Record, Recorded};
use crate::report::style::{count, harmless, time};
use crate::report::table::{Paint, Table};
use crate::report::{Look, Style, probes, say};
use apim_rollout::state;

/// Records to show.
pub(crate) struct HistoryRequest {
    /// Folder of the records; `None` is the folder of the user.
    pub(crate) state_dir: Option<PathBuf>,
    /// Whether to print JSON.
    pub(crate) json: bool,
}

/// Runs to list.
pub(crate) struct RunSelection {
    /// Only runs on this inventory.
    pub(crate) inventory: Option<PathBuf>,
    /// Number of the latest runs; 0 lists all.
    pub(crate) last: usize,
}

impl HistoryRequest {
    fn book(&self) -> Book {
        Book::new(&self.state_dir.clone().unwrap_or_else(state::of_user))
    }

    fn look(&self) -> Look {
        Look::detect(self.json, 0, false)
    }
}

fn unreadable(book: &Book, error: &std::io::Error) -> Exit {
    Exit::new(Kind::Failed, format!("cannot read the records in `{}`: {error}", book.folder().display()))
}

/// Lists runs.
pub(crate) fn list(request: &HistoryRequest, selection: &RunSelection) -> Result<Kind, Exit> {
    let (book, look) = (request.book(), request.look());
    let Recorded { mut runs, problems } = book.read().map_err(|error| unreadable(&book, &error))?;
    if let Some(inventory) = selection.inventory.as_deref().map(absolute) {
        runs.retain(|record| record.inventory == inventory);
    }
    let more = if selection.last == 0 { 0 } else { runs.len().saturating_sub(selection.last) };
    let shown = runs.get(more..).unwrap_or_default();
    if look.json {
        for record in shown {
            say(&object(record).to_string())?;
        }
        let problems: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
        say(&json!({"event": "history", "runs": runs.len(), "problems": problems}).to_string())?;
    } else {
        say(&listed(shown, more, look.out))?;
        say_problems(&problems, look.out)?;
    }
    Ok(if problems.is_empty() { Kind::Converged } else { Kind::Failed })
}

fn say_problems(problems: &[Problem], style: Style) -> Result<(), Exit> {
    for Problem { what, .. } in problems {
        say(&format!("{} {}", style.bad("integrity error:"), harmless(what)))?;
    }
    Ok(())
}

/// Returns the state of a run and its colour.
fn end(end: End) -> (String, Paint) {
    match end {
        End::Running => ("running".to_owned(), Paint::Change),
        End::NotEnded => ("killed".to_owned(), Paint::Bad),
        End::Ended { code, .. } => ended(code),
    }
}

fn ended(code: u8) -> (String, Paint) {
    match code {
        0 => ("done".to_owned(), Paint::Good),
        1 => ("failed".to_owned(), Paint::Bad),
        2 => ("refused: invalid files or flags".to_owned(), Paint::Plain),
        4 => ("refused: stale plan".to_owned(), Paint::Plain),
        130 => ("interrupted".to_owned(), Paint::Bad),
        code => (format!("exit code {code}"), Paint::Bad),
    }
}

fn listed(runs: &[Record], more: usize, style: Style) -> String {
    if runs.is_empty() {
        return "no runs recorded\n".to_owned();
    }
    let mut table = Table::new(
        style,
        &["run", "started (UTC)", ">duration", "operator", "command", "inventory", ">changed", "result"],
    );
    for record in runs {
        let (took, changed) = match record.end {
            End::Ended { seconds, changed, .. } => {
                (time(Duration::from_secs_f64(seconds.max(0.0))), changed.to_string())
            }
            End::Running | End::NotEnded => ("-".to_owned(), "?".to_owned()),
        };
        let what = shortened(&format!("{} {}", record.verb, record.playbook));
        let inventory = record.inventory.display().to_string();
        let plain =
            [record.run.clone(), minute(&record.at), took, record.operator.clone(), what, inventory, changed];
        table.row(plain.into_iter().map(|text| (text, Paint::Plain)).chain([end(record.end)]));
    }
    let mut text = table.text();
    if more > 0 {
        text.push_str(&format!("{} not shown (-n 0 shows all)\n", count(more, "earlier run")));
    }
    text
}

/// Shortens long commands.
fn shortened(what: &str) -> String {
    const MOST: usize = 60;
    match what.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", what.get(..at).unwrap_or_default()),
        None => what.to_owned(),
    }
}

/// Removes the fraction of a second.
fn minute(at: &str) -> String {
    at.split('.').next().unwrap_or(at).replace('T', " ")
}

fn object(record: &Record) -> serde_json::Value {
    let (state, code, changed, seconds) = match record.end {
        End::Running => ("running", None, None, None),
        End::NotEnded => ("not_ended", None, None, None),
        End::Ended { code, changed, seconds } => ("ended", Some(code), Some(changed), Some(seconds)),
    };
    json!({
        "event": "run", "run": record.run, "begun": record.at, "verb": record.verb, "playbook": record.playbook,
        "operator": record.operator, "inventory": record.inventory, "state": state, "code": code,
        "changed": changed, "seconds": seconds,
    })
}

/// Verifies the integrity of all records.
pub(crate) fn verify(request: &HistoryRequest) -> Result<Kind, Exit> {
    let (book, look) = (request.book(), request.look());
    let Recorded { runs, problems } = book.verify().map_err(|error| unreadable(&book, &error))?;
    if look.json {
        for Problem { run, what } in &problems {
            say(&json!({"event": "problem", "run": run, "what": what}).to_string())?;
        }
        say(&json!({"event": "verified", "runs": runs.len(), "whole": problems.is_empty()}).to_string())?;
    } else if problems.is_empty() {
        say(&look.out.good(format!("{}, integrity OK", count(runs.len(), "record"))))?;
    } else {
        say_problems(&problems, look.out)?;
    }
    Ok(if problems.is_empty() { Kind::Converged } else { Kind::Failed })
}

/// Shows one run, by id or unique prefix.
pub(crate) fn show(request: &HistoryRequest, run: &str, verbose: bool) -> Result<Kind, Exit> {
    let (book, look) = (request.book(), request.look());
    let Recorded { runs, .. } = book.read().map_err(|error| unreadable(&book, &error))?;
    let record = Book::find(&runs, run).ok_or_else(|| {
        let text = format!("no run `{}`, or the prefix is not unique", run);
        Exit::new(Kind::Usage, text).hint("`apim-deploy history -n 0` lists all runs")
    })?;
    let lines = book.lines(&record.run).map_err(|error| {
        Exit::new(Kind::Failed, format!("cannot read the record of run {}: {error}", record.run))
    })?;
    if look.json {
        for line in &lines {
            say(&serde_json::to_string(line).map_err(std::io::Error::from)?)?;
        }
    } else {
        say(&shown(record, &lines, verbose, look.out))?;
    }
    Ok(Kind::Converged)
}

fn shown(record: &Record, lines: &[Line], verbose: bool, style: Style) -> String {
    let mut text =
        format!("run {}, started {} UTC by {}\n", record.run, minute(&record.at), harmless(&record.operator));
    let mut steps: BTreeMap<&str, usize> = BTreeMap::new();
    for Line { at, what, .. } in lines {
        let line = match what {
            Entry::Begun(begun) => {
                let flags = begun.flags.iter().map(|flag| format!(" {flag}")).collect::<String>();
                let command =
                    if begun.verb == "exec" { format!(": {}", begun.playbook) } else { String::new() };
                let (verb, inventory) = (&begun.verb, begun.inventory.display());
                format!("{verb} {inventory}{flags} (apim-deploy {}){command}", begun.version)
            }
            Entry::Planned(planned) => format!(
                "{} on {} in {}",
                count(planned.steps, "step"),
                count(planned.hosts.len(), "host"),
                count(planned.stages.len(), "stage")
            ),
            Entry::Connected { host, hostname } if verbose => format!("{host}: connected ({hostname})"),
            Entry::Unreachable { host, why } => format!("{host}: {} {why}", style.bad("unreachable")),
            Entry::Surveyed { host, differ } if verbose => {
                format!("{host}: checked, {}", count(*differ, "pending change"))
            }
            Entry::Stage { stage, title } => style.strong(format!("stage {}: {title}", stage + 1)),
            Entry::Step { host, title, outcome, detail, seconds, .. } => {
                *steps.entry(outcome).or_default() += 1;
                if outcome == "ok" && !verbose {
                    continue;
                }
                let word = match outcome.as_str() {
                    "failed" => style.bad(outcome),
                    "changed" => style.change(outcome),
                    other => other.to_owned(),
                };
                let detail =
                    if detail.is_empty() { String::new() } else { format!(": {}", detail.join("; ")) };
                format!("{host}: {word} {title} ({seconds:.1} s){detail}")
            }
            Entry::Ran { hosts, ended } => {
                format!("{}: {ended}", folded(hosts.iter().map(String::as_str)))
            }
            Entry::Note { text } => text.clone(),
            Entry::Interrupted => "interrupted by the user".to_owned(),
            Entry::Ended(ended) => {
                format!("{}{}", probes::text(&ended.probes, style), summed(ended))
            }
            Entry::Connected { .. } | Entry::Surveyed { .. } => continue,
        };
        let clock = at.split('T').nth(1).and_then(|clock| clock.split('.').next()).unwrap_or("");
        text.push_str(&format!("{}  {}\n", style.faint(clock), harmless(&line)));
    }
    let counts: Vec<String> = steps.iter().map(|(outcome, number)| format!("{number} {outcome}")).collect();
    let (word, _) = end(record.end);
    text.push_str(&format!(
        "{word}{}{}\n",
        if counts.is_empty() { "" } else { ": steps " },
        counts.join(", ")
    ));
    text
}

fn summed(ended: &Ended) -> String {
    let hosts: Vec<String> = ended
        .hosts
        .iter()
        .filter(|(_, sum)| sum.state != "done")
        .map(|(host, sum)| format!("{host} {}", sum.state))
        .collect();
    let why = ended.why.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
    let hosts = if hosts.is_empty() { String::new() } else { format!("; {}", hosts.join(", ")) };
    format!("ended with exit code {} after {:.1} s{hosts}{why}", ended.code, ended.seconds)
}
