//! `history hosts`: the journals of the hosts (change, operator, time) and their integrity.

use apim_protocol::mask;
use apim_protocol::observation::{Answer, IntegrityError, JournalEntry, Recorded};
use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use apim_protocol::query::read_journal::ReadJournal;
use apim_protocol::value::Secret;
use jiff::Timestamp;
use serde_json::json;

use crate::app::connect::Rights;
use crate::app::exit::{Exit, Kind};
use crate::app::options::{Files, Reach, Shown};
use crate::app::query::{self, QueryRequest, QuerySession, ReadyQuery};
use crate::app::verb::Verb;
use crate::report::style::harmless;
use crate::report::{self, Style, remark};
use apim_transport::host::HostName;
use apim_transport::query::{HostQuery, HostUnavailable, with_all};

/// Default number of journal entries per host.
const LINES: u32 = 20;

/// Options of `history hosts`.
#[derive(Debug, Clone)]
pub(crate) struct JournalsRequest {
    pub(crate) files: Files,
    /// Hosts, as an Ansible pattern [default: all]
    pub(crate) pattern: Option<String>,
    /// Show only entries of this run, by id or prefix
    pub(crate) run: Option<String>,
    /// Show only entries since a duration ago (2h) or a time (2026-11-22T05:00:00Z)
    pub(crate) since: Option<u64>,
    /// Show this many of the latest entries per host; 0 shows up to 5000 [default: 20; 0 with --run
    /// or --since]
    pub(crate) lines: Option<u32>,
    /// Group entries by host instead of merging them by time
    pub(crate) by_host: bool,
    /// Only verify the integrity of the journals
    pub(crate) verify: bool,
    pub(crate) reach: Reach,
    pub(crate) shown: Shown,
}

/// The journal of one host.
struct Row {
    host: HostName,
    answer: Result<Recorded, HostUnavailable>,
}

pub(crate) fn run(args: &JournalsRequest) -> Result<Kind, Exit> {
    let query = QueryRequest {
        verb: Verb::History,
        files: &args.files,
        reach: &args.reach,
        shown: args.shown,
        pattern: args.pattern.as_deref(),
        rights: Rights::Usual,
    };
    let ready = query::prepare(&query)?;
    let secrets = ready.secrets();
    let recall = args.recall();
    let forks = usize::from(args.reach.forks);
    let mut rows = ready.ask(|session| ask(session, forks, &recall))?;
    for row in &mut rows {
        row.hide(&secrets);
    }
    show(&rows, args, &ready)?;
    let is_whole = |row: &Row| row.answer.as_ref().is_ok_and(|recorded| recorded.integrity_error.is_none());
    Ok(if rows.iter().all(is_whole) { Kind::Converged } else { Kind::Failed })
}

impl JournalsRequest {
    fn recall(&self) -> ReadJournal {
        let all = self.run.is_some() || self.since.is_some();
        let last = match self.lines {
            _ if self.verify => 0,
            Some(0) => u32::MAX,
            Some(lines) => lines,
            None if all => u32::MAX,
            None => LINES,
        };
        ReadJournal { run: self.run.clone(), since: self.since, last, idle: self.shown.verbose > 0 }
    }
}

async fn ask(session: QuerySession, forks: usize, recall: &ReadJournal) -> Result<Vec<Row>, Exit> {
    let QuerySession { mut peers, connect, terms } = session;
    let asked = [HostQuery::look("history", Query::ReadJournal(recall.clone()))];
    let rows = with_all(&mut peers, forks, |peer| {
        let (connect, terms, asked) = (&connect, &terms, &asked);
        async move {
            let answer = peer.ask(connect.as_ref(), terms, asked, &|_, _| {}).await;
            peer.goodbye().await;
            Row { host: peer.host.clone(), answer: answer.and_then(recorded) }
        }
    });
    Ok(rows.await)
}

fn recorded(outcomes: Vec<Outcome>) -> Result<Recorded, HostUnavailable> {
    match outcomes.into_iter().next() {
        Some(Outcome::Observed(mut seen)) => match seen.answers.pop() {
            Some(Answer::Recorded(recorded)) => Ok(*recorded),
            _ => Err(HostUnavailable::new("the agent did not return the journal")),
        },
        Some(Outcome::Failed(failure)) => Err(failure.into()),
        _ => Err(HostUnavailable::new("the agent did not return the journal")),
    }
}

impl Row {
    fn hide(&mut self, secrets: &[Secret]) {
        let Ok(recorded) = &mut self.answer else { return };
        for JournalEntry { operator, title, detail, .. } in &mut recorded.entries {
            for text in [operator, title].into_iter().chain(detail) {
                *text = mask::text(text, secrets);
            }
        }
    }

    fn deeds(&self) -> impl Iterator<Item = (&str, &JournalEntry)> {
        self.answer.iter().flat_map(|recorded| &recorded.entries).map(|deed| (self.host.0.as_str(), deed))
    }

    /// Returns the connection error or the integrity error, if any.
    fn problem(&self) -> Option<String> {
        match &self.answer {
            Ok(Recorded { integrity_error: Some(IntegrityError { file, line, what }), .. }) => {
                Some(format!("integrity error in {file}, line {line}: {what}"))
            }
            Ok(_) => None,
            Err(away) => {
                let hint = away.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                Some(format!("{}{hint}", away.why()))
            }
        }
    }

    fn json(&self) -> String {
        match &self.answer {
            Ok(Recorded { lines, last, left_out, integrity_error: flaw, entries: _ }) => {
                let flaw = flaw.as_ref().map(
                    |IntegrityError { file, line, what }| json!({"file": file, "line": line, "what": what}),
                );
                json!({
                    "event": "journal", "host": self.host.0, "lines": lines, "last": last,
                    "left_out": left_out, "whole": flaw.is_none(), "flaw": flaw,
                })
            }
            Err(away) => {
                json!({"event": "journal", "host": self.host.0, "problem": away.why(), "hint": away.hint()})
            }
        }
        .to_string()
    }
}

fn show(rows: &[Row], args: &JournalsRequest, ready: &ReadyQuery) -> Result<(), Exit> {
    let (look, verify) = (ready.look, args.verify);
    if look.json {
        for (host, deed) in ordered(rows, args.by_host) {
            report::say(&object(host, deed))?;
        }
        for row in rows {
            report::say(&row.json())?;
        }
        return Ok(());
    }
    if verify {
        report::say(&rows.iter().map(|row| verdict(row, look.out)).collect::<String>())?;
        return Ok(());
    }
    report::say(&text(rows, args.by_host, look.out))?;
    for row in rows {
        if let Ok(Recorded { left_out: left_out @ 1.., .. }) = &row.answer {
            remark(&look.err.faint(format!(
                "{}: {} not shown (-n shows more)",
                row.host,
                entries(*left_out)
            )));
        }
        if let Some(problem) = row.problem() {
            remark(&look.err.bad(format!("{}: {}", row.host, harmless(&problem))));
        }
    }
    Ok(())
}

fn ordered(rows: &[Row], by_host: bool) -> Vec<(&str, &JournalEntry)> {
    let mut deeds: Vec<(&str, &JournalEntry)> = rows.iter().flat_map(Row::deeds).collect();
    if !by_host {
        // Entries of one host within the same second keep their order.
        deeds.sort_by_key(|(_, deed)| deed.time);
    }
    deeds
}

fn moment(time: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time).ok()?).ok()
}

fn object(host: &str, deed: &JournalEntry) -> String {
    let JournalEntry { time, run, step, operator, title, outcome, detail, millis } = deed;
    json!({
        "event": "deed", "host": host, "at": moment(*time).map(|at| at.to_string()), "run": run, "step": step,
        "operator": operator, "title": title, "outcome": outcome, "detail": detail, "millis": millis,
    })
    .to_string()
}

/// Renders entries below the heading of their run.
fn text(rows: &[Row], by_host: bool, style: Style) -> String {
    let deeds = ordered(rows, by_host);
    let width = deeds.iter().map(|(host, _)| host.chars().count()).max().unwrap_or(0);
    if deeds.is_empty() {
        return "no matching journal entries\n".to_owned();
    }
    let (mut text, mut former) = (String::new(), None);
    for (host, deed) in deeds {
        let JournalEntry { time, run, step: _, operator, title, outcome, detail, millis } = deed;
        let head = (run, operator, by_host.then_some(host));
        if former.replace(head) != Some(head) {
            let head = format!("run {} by {}", harmless(run), harmless(operator));
            text.push_str(&format!("{}\n", style.strong(head)));
        }
        let at = moment(*time).map_or_else(|| "?".to_owned(), |at| at.strftime("%F %T").to_string());
        let word = match outcome.as_str() {
            "failed" => style.bad(outcome),
            "changed" => style.change(outcome),
            other => other.to_owned(),
        };
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
        let seconds = *millis as f64 / 1000.0;
        let detail = if detail.is_empty() { String::new() } else { format!(": {}", detail.join("; ")) };
        let said = format!("{word} {title} ({seconds:.1} s){detail}");
        text.push_str(&format!("{}  {host:width$}  {}\n", style.faint(at), one_line(&said)));
    }
    text
}

/// Replaces line breaks and tabs; keeps colours, which are added by this module.
fn one_line(said: &str) -> String {
    said.replace(['\n', '\r', '\t'], " ")
}

fn entries(number: u64) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{number} entries") }
}

fn verdict(row: &Row, style: Style) -> String {
    let said = match (&row.answer, row.problem()) {
        (_, Some(problem)) => style.bad(harmless(&problem)),
        (Ok(recorded), None) => style.good(format!("{}, integrity OK", entries(recorded.lines))),
        (Err(_), None) => return String::new(),
    };
    format!("{}: {said}\n", row.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(time: u64, run: &str, outcome: &str, detail: &[&str]) -> JournalEntry {
        JournalEntry {
            time,
            run: run.into(),
            step: 1,
            operator: "ann@laptop".into(),
            title: format!("step {time}"),
            outcome: outcome.into(),
            detail: detail.iter().map(|&text| text.to_owned()).collect(),
            millis: 1250,
        }
    }

    fn rows() -> Vec<Row> {
        let gw1 = Recorded {
            entries: vec![
                deed(1_000_000_000, "19a4", "changed", &["mode 0644 -> 0600"]),
                deed(1_000_000_060, "19b0", "failed", &["it broke", "a file is\ngone"]),
            ],
            lines: 40,
            ..Recorded::default()
        };
        let flaw = IntegrityError { file: "journal.jsonl".into(), line: 7, what: "it was changed".into() };
        let deeds = vec![deed(1_000_000_030, "19a4", "skipped", &[])];
        let cp1 = Recorded { entries: deeds, lines: 1, integrity_error: Some(flaw), ..Recorded::default() };
        let away = HostUnavailable::new("no route");
        [("gw1", Ok(gw1)), ("cp1", Ok(cp1)), ("gw2", Err(away))]
            .map(|(name, answer)| Row { host: HostName(name.into()), answer })
            .into()
    }

    #[test]
    fn entries_of_all_hosts_are_merged_by_time() {
        insta::assert_snapshot!(text(&rows(), false, Style::plain()));
    }

    #[test]
    fn entries_are_grouped_by_host() {
        insta::assert_snapshot!(text(&rows(), true, Style::plain()));
    }

    #[test]
    fn integrity_errors_name_host_and_line() {
        let said: String = rows().iter().map(|row| verdict(row, Style::plain())).collect();
        insta::assert_snapshot!(said);
    }
}
