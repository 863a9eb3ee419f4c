//! A journal that is intact, cut, edited, rotated; what of it is reported.

use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use std::fs;

use super::*;
use crate::operation::testing::Bench;
use crate::query::observe;

fn line(before: Option<&str>, time: u64, run: &str, outcome: &str) -> String {
    let before = before.map(|line| format!("\"before\":\"{}\",", Sha256::of(line.as_bytes())));
    format!(
        "{{{}\"time\":{time},\"run\":\"{run}\",\"step\":{time},\"operator\":\"ann@desk\",\"title\":\"step {time}\",\
         \"outcome\":\"{outcome}\",\"detail\":[\"password=abcdef\\u001b[2J\"],\"millis\":5}}",
        before.unwrap_or_default()
    )
}

/// Six lines of two runs; every other one found the host up to date.
fn chain() -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for time in 1..=6 {
        let run = if time < 4 { "one-1" } else { "two-1" };
        let outcome = if time % 2 == 0 { "ok" } else { "changed" };
        lines.push(line(lines.last().map(String::as_str), time, run, outcome));
    }
    lines
}

fn write(bench: &Bench, name: &str, lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(bench.system.state().folder().join(name), text).unwrap();
}

const ALL: ReadJournal = ReadJournal { run: None, since: None, last: 100, idle: true };

fn ask(bench: &Bench, recall: &ReadJournal) -> Recorded {
    match observe(&Query::ReadJournal(recall.clone()), &bench.system, &mut bench.dialogue()) {
        Outcome::Observed(mut seen) => match seen.answers.pop() {
            Some(Answer::Recorded(recorded)) => *recorded,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn times(recorded: &Recorded) -> Vec<u64> {
    recorded.entries.iter().map(|deed| deed.time).collect()
}

fn flaw(bench: &Bench) -> Option<(String, u64, String)> {
    ask(bench, &ALL).integrity_error.map(|IntegrityError { file, line, what }| (file, line, what))
}

#[test]
fn latest_matching_entries_are_masked_and_bounded() {
    let bench = Bench::new();
    assert_eq!(ask(&bench, &ALL), Recorded::default(), "a host where nothing was done");
    write(&bench, FILE, &chain());
    let all = ask(&bench, &ALL);
    assert_eq!(
        (times(&all), all.lines, all.left_out, all.integrity_error.clone()),
        ((1..=6).collect(), 6, 0, None)
    );
    assert_eq!(all.last, Some(Sha256::of(chain()[5].as_bytes()).to_string()));
    assert_eq!(all.entries[0].detail, ["password=****"]);
    let some = ask(&bench, &ReadJournal { last: 2, idle: false, ..ALL });
    assert_eq!((times(&some), some.left_out), (vec![3, 5], 1));
    assert_eq!(times(&ask(&bench, &ReadJournal { run: Some("two".into()), ..ALL })), [4, 5, 6]);
    assert_eq!(times(&ask(&bench, &ReadJournal { since: Some(5000), ..ALL })), [5, 6]);
    assert_eq!(times(&ask(&bench, &ReadJournal { last: 0, ..ALL })), Vec::<u64>::new());
}

#[test]
fn a_record_that_was_set_aside_goes_on_in_the_next_file() {
    let bench = Bench::new();
    let lines = chain();
    write(&bench, OLD_FILE, &lines[1..3]);
    write(&bench, FILE, &lines[3..]);
    assert_eq!((flaw(&bench), ask(&bench, &ALL).lines), (None, 5));
    write(&bench, OLD_FILE, &lines[1..2]);
    let (file, line, what) = flaw(&bench).expect("a line is missing at the end of the older file");
    assert_eq!((file.as_str(), line), (FILE, 1));
    assert!(what.contains("does not follow"), "{what}");
    fs::remove_file(bench.system.state().folder().join(OLD_FILE)).unwrap();
    let (file, line, what) = flaw(&bench).expect("the older file is gone");
    assert_eq!((file.as_str(), line, what.as_str()), (FILE, 1, "what stood before it is gone"));
}

#[test]
fn an_edit_and_a_missing_line_are_found_where_they_are_and_a_lost_end_by_what_was_last() {
    let bench = Bench::new();
    let lines = chain();
    let mut edited = lines.clone();
    edited[2] = edited[2].replace("changed", "ok");
    write(&bench, FILE, &edited);
    assert_eq!(flaw(&bench).map(|(_, line, _)| line), Some(4));
    let mut gap = lines.clone();
    gap.remove(1);
    write(&bench, FILE, &gap);
    assert_eq!(flaw(&bench).map(|(_, line, _)| line), Some(2));

    let sealed = Sha256::of(lines[5].as_bytes()).to_string();
    fs::write(bench.system.state().folder().join(LAST_FILE), format!("{sealed}\n")).unwrap();
    write(&bench, FILE, &lines);
    assert_eq!(flaw(&bench), None);
    let more = [lines.clone(), vec![line(Some(&lines[5]), 7, "three", "ok")]].concat();
    write(&bench, FILE, &more);
    assert_eq!(flaw(&bench), None, "a session that goes on adds to it");
    write(&bench, FILE, &lines[..5]);
    let (file, line, what) = flaw(&bench).expect("the last line is cut off");
    assert_eq!((file.as_str(), line), (FILE, 5));
    assert!(what.contains("the end was cut off"), "{what}");
    let mut edited = lines;
    edited[5] = edited[5].replace("ok", "changed");
    write(&bench, FILE, &edited);
    assert_eq!(flaw(&bench).map(|(_, line, _)| line), Some(6), "the last line was edited");
    write(&bench, FILE, &[]);
    assert_eq!(flaw(&bench).map(|(_, line, _)| line), Some(0), "all of it is gone");
}

#[test]
fn a_line_that_is_being_written_is_none_yet_and_a_file_that_grew_too_long_is_refused() {
    let bench = Bench::new();
    let path = bench.system.state().folder().join(FILE);
    write(&bench, FILE, &chain());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{{\"before\":\"12")).unwrap();
    let seen = ask(&bench, &ALL);
    assert_eq!((seen.lines, seen.integrity_error), (6, None));
    fs::write(&path, "x\n".repeat(3_000_000)).unwrap();
    let refused = observe(&Query::ReadJournal(ALL), &bench.system, &mut bench.dialogue());
    assert!(matches!(&refused, Outcome::Failed(why) if why.causes[0].contains("longer than")), "{refused:?}");
}

#[test]
fn long_journal_is_bounded() {
    let bench = Bench::new();
    let mut lines: Vec<String> = Vec::new();
    for time in 1..=6000 {
        lines.push(line(lines.last().map(String::as_str), time, "one", "changed"));
    }
    write(&bench, FILE, &lines);
    let seen = ask(&bench, &ReadJournal { last: u32::MAX, ..ALL });
    assert_eq!((seen.entries.len(), seen.left_out, seen.lines), (5000, 1000, 6000));
    assert_eq!(seen.entries[0].time, 1001);
}
