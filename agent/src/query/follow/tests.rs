//! Following a log that is written to, rotated and cut, with a receiver that remembers what was reported.

use apim_protocol::observation::LogEntry;
use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use apim_protocol::value::UnitName;
use std::cell::Cell;
use std::time::{Duration, Instant};

use apim_protocol::value::AbsPath;

use super::*;
use crate::operation::testing::Bench;
use crate::query::observe;

const PATIENCE: Duration = Duration::from_secs(20);

/// Does its next step whenever the entries of the last one were reported, and stops after the last.
struct Hearing<'a> {
    told: Vec<LogEntry>,
    steps: Vec<(usize, &'a dyn Fn())>,
    done: Cell<usize>,
    begun: Instant,
}

impl Report for Hearing<'_> {
    fn progress(&mut self, _: &str, _: u64, _: u64) {}

    fn entries(&mut self, entries: Vec<LogEntry>, _: bool) {
        self.told.extend(entries);
    }

    fn is_cancelled(&self) -> bool {
        if let Some((wanted, step)) = self.steps.get(self.done.get())
            && self.told.len() >= *wanted
        {
            step();
            self.done.set(self.done.get() + 1);
        }
        self.done.get() > self.steps.len() - 1 || self.begun.elapsed() > PATIENCE
    }
}

fn follow(name: &str) -> Follow {
    let folder = AbsPath::parse("/logs").unwrap();
    let log = Log::File { folder, name: name.into() };
    Follow { log, last: Some(2), since: None, matching: None, goes_on: true }
}

fn line(second: u32, text: &str) -> String {
    format!("[2026-05-29 10:00:{second:02},000]  INFO - {text}\n")
}

#[test]
fn a_log_is_followed_over_rotation_and_truncation() {
    let bench = Bench::new();
    bench.write("/logs/x.log", &(line(1, "one") + &line(2, "two") + &line(3, "three")));
    let (log, old) = (bench.real("/logs/x.log"), bench.real("/logs/x-05-29-2026-1.log"));
    let add = |text: &str| {
        use std::io::Write as _;
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&log);
        file.unwrap().write_all(text.as_bytes()).unwrap();
    };
    let write = || add(&(line(4, "four") + "a trace\n\tbelow it\n"));
    let rotate = || {
        add(&line(5, "last before"));
        std::fs::rename(&log, &old).unwrap();
        add(&line(6, "first behind"));
    };
    let cut = || std::fs::write(&log, line(7, "cut")).unwrap();
    let end = || {};
    let mut hearing = Hearing {
        told: Vec::new(),
        steps: vec![(2, &write), (3, &rotate), (5, &cut), (6, &end)],
        done: Cell::new(0),
        begun: Instant::now(),
    };
    let outcome = observe(&Query::Follow(follow("x.log")), &bench.system, &mut hearing);
    assert!(matches!(outcome, Outcome::Observed(_)), "{outcome:?}");
    let told: Vec<String> = hearing
        .told
        .iter()
        .map(|entry| entry.text.split(" - ").nth(1).unwrap_or(&entry.text).replace('\n', "|"))
        .collect();
    assert_eq!(told, ["two", "three", "four|a trace| below it", "last before", "first behind", "cut"]);
}

#[test]
fn matching_entries_are_whole_and_masked() {
    let bench = Bench::new();
    let text =
        line(1, "fine") + &line(2, "it broke") + "Caused by: password=hunter2\n\x1b[2J\n" + &line(3, "fine");
    bench.write("/logs/x.log", &text);
    let mut hearing =
        Hearing { told: Vec::new(), steps: Vec::new(), done: Cell::new(0), begun: Instant::now() };
    let once = Follow { matching: Some("Caused by".into()), goes_on: false, ..follow("x.log") };
    hearing.steps.push((usize::MAX, &|| {}));
    let outcome = observe(&Query::Follow(once), &bench.system, &mut hearing);
    assert!(matches!(outcome, Outcome::Observed(_)), "{outcome:?}");
    let [entry] = hearing.told.as_slice() else { panic!("{:?}", hearing.told) };
    assert!(entry.text.contains("it broke\nCaused by: password=****\n\u{fffd}[2J"), "{entry:?}");
}

#[test]
fn a_log_that_is_not_there_and_a_bad_expression_are_failures() {
    let bench = Bench::new();
    let fails = |follow: Follow| match observe(&Query::Follow(follow), &bench.system, &mut bench.dialogue()) {
        Outcome::Failed(failure) => failure.what,
        other => panic!("{other:?}"),
    };
    assert!(fails(Follow { goes_on: false, ..follow("y.log") }).contains("no log /logs/y.log"));
    let bad = Follow { matching: Some("(".into()), goes_on: false, ..follow("y.log") };
    assert!(fails(bad).contains("cannot be looked for"));
    let journal = Log::Journal(UnitName::parse("x").unwrap());
    assert!(fails(Follow { log: journal, ..follow("") }).contains("systemd is not running"));
}
