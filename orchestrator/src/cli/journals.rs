//! `history hosts`: what the hosts' own journals say was done there, by whom and when, and whether they are as they were written.

use apim_protocol::mask;
use apim_protocol::observation::{Answer, IntegrityError, JournalEntry, Recorded};
use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use apim_protocol::query::read_journal::ReadJournal;
use apim_protocol::value::Secret;
use jiff::Timestamp;
use serde_json::json;

use super::connect::Rights;
use super::exit::{Exit, Kind};
use super::looking::{self, Ready, Round, Wanted};
use super::moment;
use super::options::{Files, Reach, Shown};
use crate::inventory::host::HostName;
use crate::report::style::{count, harmless};
use crate::report::{self, Style, remark};
use crate::rounds::{Asked, Away, with_all};

/// So many steps of each host are shown where nobody says how many.
const LINES: u32 = 20;

/// Options of `history hosts`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// The hosts: an Ansible pattern; all of them without one
    pattern: Option<String>,
    /// Only what this run did: its id, or how it begins
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Only what was done since: so long ago (2h), or a moment (2026-11-22T05:00:00Z)
    #[arg(short, long, value_name = "TIME", value_parser = moment::since)]
    since: Option<u64>,
    /// The last so many steps of each host; 0 for as many as a host tells (5000); default: 20, or with --run or --since 0
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<u32>,
    /// Host by host, and not all in one order
    #[arg(long)]
    by_host: bool,
    /// Only say whether the journals are as they were written
    #[arg(long, conflicts_with_all = ["run", "since", "lines", "by_host"])]
    verify: bool,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pub(super) shown: Shown,
}

/// What one host answered.
struct Row {
    host: HostName,
    answer: Result<Recorded, Away>,
}

pub(super) fn run(args: &Args) -> Result<Kind, Exit> {
    let wanted = Wanted {
        verb: "history",
        files: &args.files,
        reach: &args.reach,
        shown: args.shown,
        pattern: args.pattern.as_deref(),
        rights: Rights::Usual,
    };
    let ready = looking::prepare(&wanted)?;
    let secrets = ready.secrets();
    let recall = args.recall();
    let forks = usize::from(args.reach.forks);
    let mut rows = ready.ask(|round| ask(round, forks, &recall))?;
    for row in &mut rows {
        row.hide(&secrets);
    }
    show(&rows, args, &ready)?;
    let is_whole = |row: &Row| row.answer.as_ref().is_ok_and(|recorded| recorded.integrity_error.is_none());
    Ok(if rows.iter().all(is_whole) { Kind::Converged } else { Kind::Failed })
}

impl Args {
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

async fn ask(round: Round, forks: usize, recall: &ReadJournal) -> Result<Vec<Row>, Exit> {
    let Round { mut peers, connect, terms } = round;
    let asked = [Asked::look("history", Query::ReadJournal(recall.clone()))];
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

fn recorded(outcomes: Vec<Outcome>) -> Result<Recorded, Away> {
    match outcomes.into_iter().next() {
        Some(Outcome::Observed(mut seen)) => match seen.answers.pop() {
            Some(Answer::Recorded(recorded)) => Ok(*recorded),
            _ => Err(Away { why: "the agent did not tell what was done".to_owned(), hint: None }),
        },
        Some(Outcome::Failed(failure)) => {
            let why = std::iter::once(failure.what).chain(failure.causes).collect::<Vec<_>>().join(": ");
            Err(Away { why, hint: failure.hint })
        }
        _ => Err(Away { why: "the agent did not tell what was done".to_owned(), hint: None }),
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

    /// What is wrong with the host or its journal, in words.
    fn problem(&self) -> Option<String> {
        match &self.answer {
            Ok(Recorded { integrity_error: Some(IntegrityError { file, line, what }), .. }) => {
                Some(format!("{file} is not as it was written, line {line}: {what}"))
            }
            Ok(_) => None,
            Err(Away { why, hint: Some(hint) }) => Some(format!("{why}; {hint}")),
            Err(Away { why, hint: None }) => Some(why.clone()),
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
            Err(Away { why, hint }) => {
                json!({"event": "journal", "host": self.host.0, "problem": why, "hint": hint})
            }
        }
        .to_string()
    }
}

fn show(rows: &[Row], args: &Args, ready: &Ready) -> Result<(), Exit> {
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
            let more = count(usize::try_from(*left_out).unwrap_or(usize::MAX), "step");
            remark(&look.err.faint(format!("{}: {more} before these (-n shows more)", row.host)));
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
        // What a host did in the same second stays in its order.
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

/// Steps below the run that they belong to.
fn text(rows: &[Row], by_host: bool, style: Style) -> String {
    let deeds = ordered(rows, by_host);
    let width = deeds.iter().map(|(host, _)| host.chars().count()).max().unwrap_or(0);
    if deeds.is_empty() {
        return "the journals of these hosts tell of nothing that fits\n".to_owned();
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

/// Colours are ours; line ends are not wanted.
fn one_line(said: &str) -> String {
    said.replace(['\n', '\r', '\t'], " ")
}

fn verdict(row: &Row, style: Style) -> String {
    let said = match (&row.answer, row.problem()) {
        (_, Some(problem)) => style.bad(harmless(&problem)),
        (Ok(recorded), None) => {
            let lines = count(usize::try_from(recorded.lines).unwrap_or(usize::MAX), "line");
            style.good(format!("{lines}, as they were written"))
        }
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
            operator: "ann@desk".into(),
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
        let away = Away { why: "no route".into(), hint: None };
        [("gw1", Ok(gw1)), ("cp1", Ok(cp1)), ("gw2", Err(away))]
            .map(|(name, answer)| Row { host: HostName(name.into()), answer })
            .into()
    }

    #[test]
    fn steps_of_all_hosts_stand_in_one_order_below_their_runs() {
        insta::assert_snapshot!(text(&rows(), false, Style::plain()));
    }

    #[test]
    fn or_host_by_host() {
        insta::assert_snapshot!(text(&rows(), true, Style::plain()));
    }

    #[test]
    fn a_journal_is_whole_or_its_flaw_is_named_with_host_and_line() {
        let said: String = rows().iter().map(|row| verdict(row, Style::plain())).collect();
        insta::assert_snapshot!(said);
    }
}
