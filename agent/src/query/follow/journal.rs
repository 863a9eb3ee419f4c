//! What systemd's journal has of a unit: asked for again and again, each time behind the last place.

use std::thread;
use std::time::Duration;

use apim_protocol::observation::LogEntry;
use apim_protocol::outcome::Failure;
use apim_protocol::value::UnitName;

use super::teller::Teller;
use crate::probe::entries::Entries;
use crate::probe::tail::Selection;
use crate::probe::text::harmless;
use crate::system::{Program, System};

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER_SECS: u64 = 30;
/// How the journal names the last place reported.
const CURSOR: &str = "-- cursor: ";
/// So many of its lines are asked for where an expression or a time chooses among them.
const LINES: usize = 5000;

pub(super) fn tell(
    system: &System,
    unit: &UnitName,
    selection: &Selection,
    (goes_on, teller): (bool, &mut Teller<'_>),
) -> Result<(), Failure> {
    if !system.has_systemd() {
        let what = format!("no journal of {unit}: systemd is not running on this host");
        return Err(Failure::new(what));
    }
    let mut first = vec![format!(
        "--lines={}",
        if selection.matching.is_some() { LINES } else { selection.last.min(LINES) }
    )];
    first.extend(selection.since.map(|since| format!("--since=@{}", since / 1000)));
    let mut cursor = ask(system, unit, &first, (selection, teller, selection.last))?;
    teller.flush();
    if !goes_on {
        return Ok(());
    }
    teller.is_live();
    while !teller.is_over() {
        thread::sleep(ASK_EVERY);
        let behind = match &cursor {
            Some(cursor) => vec![format!("--after-cursor={cursor}")],
            None => first.clone(),
        };
        let last = ask(system, unit, &behind, (selection, teller, LINES))?;
        cursor = last.or(cursor);
        teller.flush();
    }
    Ok(())
}

/// Reports the last `most` entries of what the journal answers; returns the place that it ends at.
fn ask(
    system: &System,
    unit: &UnitName,
    more: &[String],
    (selection, teller, most): (&Selection, &mut Teller<'_>, usize),
) -> Result<Option<String>, Failure> {
    let words = ["journalctl", "--no-pager", "--quiet", "--output=short-unix", "--show-cursor", "--unit"];
    let argv = words.map(str::to_owned).into_iter().chain([format!("{unit}.service")]);
    let program = Program { timeout_secs: ANSWER_SECS, ..Program::new(argv.chain(more.iter().cloned())) };
    let output = system.run(&program)?;
    if !output.ended.is_success() {
        let said = output.tail(3).join("; ");
        return Err(Failure::new(format!("journalctl: {}: {said}", output.ended)));
    }
    let (mut all, cursor) = read(&output.stdout, output.left_out > 0);
    all.retain(|entry| selection.wants(entry));
    let surplus = all.len().saturating_sub(most);
    all.into_iter().skip(surplus).for_each(|entry| teller.tell(entry));
    Ok(cursor)
}

/// Returns the entries of an answer, and the place that it ends at. Of a long answer only the end is there, and the first line of that is
/// not whole.
fn read(answer: &str, is_cut: bool) -> (Vec<LogEntry>, Option<String>) {
    let cursor = answer.lines().last().and_then(|line| line.strip_prefix(CURSOR)).map(str::to_owned);
    let lines = answer.lines().skip(usize::from(is_cut)).filter(|line| !line.starts_with(CURSOR));
    let mut entries = Entries::new(0);
    let mut all: Vec<_> = lines.filter_map(|line| entries.push(&harmless(line.as_bytes()))).collect();
    all.extend(entries.finish());
    (all, cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "1000000000.500000 gw1 service-one[12]: one\n\
        \u{20}   at its second line\n\
        1000000001.000000 gw1 service-one[12]: two\u{1b}[2J\n\
        -- cursor: s=12;i=3\n";

    fn told(answer: &str, is_cut: bool) -> (Vec<(Option<u64>, String)>, Option<String>) {
        let (entries, cursor) = read(answer, is_cut);
        (entries.into_iter().map(|entry| (entry.at, entry.text)).collect(), cursor)
    }

    #[test]
    fn entries_have_their_times_and_all_their_lines_and_the_cursor_is_none_of_them() {
        let (entries, cursor) = told(ANSWER, false);
        assert_eq!(cursor.as_deref(), Some("s=12;i=3"));
        let [(first, one), (second, two)] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!((*first, *second), (Some(1_000_000_000_500), Some(1_000_000_001_000)));
        assert!(one.ends_with("one\n    at its second line"), "{one:?}");
        assert!(two.ends_with("two\u{fffd}[2J"), "{two:?}");
    }

    #[test]
    fn of_a_long_answer_the_first_line_is_not_whole_and_left_out() {
        let (entries, _) = told(ANSWER.split_once("gw1").unwrap().1, true);
        assert_eq!(entries.last().map(|(at, _)| *at), Some(Some(1_000_000_001_000)));
        assert!(entries.iter().all(|(_, text)| !text.contains(": one")), "{entries:?}");
    }

    #[test]
    fn an_answer_without_entries_or_without_a_cursor_is_one_all_the_same() {
        assert_eq!(told("", false), (Vec::new(), None));
        assert_eq!(told("-- cursor: s=1\n", false), (Vec::new(), Some("s=1".to_owned())));
        let (entries, cursor) = told("1000000001.000000 gw1 x: said -- cursor: no\n", false);
        assert_eq!((entries.len(), cursor), (1, None));
    }
}
