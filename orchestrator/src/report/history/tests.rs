//! Records are written line by line, form a chain and reveal changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use apim_protocol::message::StepId;
use apim_protocol::outcome::{Difference, Outcome};

use super::*;
use apim_rollout::engine::event::Event;
use apim_transport::host::HostName;

fn begun(run: &str) -> Begun {
    Begun {
        run: run.to_owned(),
        verb: "apply".to_owned(),
        playbook: "site.yaml".to_owned(),
        operator: "anna@laptop".to_owned(),
        inventory: PathBuf::from("/i.yaml"),
        ..Begun::default()
    }
}

fn changed(step: u32) -> Event {
    let outcome = Outcome::Changed(Difference::one("content"));
    let title = format!("step {step}");
    Event::StepFinished(HostName("gw1".to_owned()), StepId(step), title, outcome, Duration::from_millis(1500))
}

fn ended(code: u8) -> Ended {
    Ended { code, changed: 1, seconds: 2.0, ..Ended::default() }
}

fn run(book: &Book, id: &str, code: u8) {
    let mut recorder = Recorder::begin(book.clone(), begun(id)).expect("begun");
    recorder.planned(Planned { stages: vec!["one".into(), "two".into()], steps: 2, ..Planned::default() });
    recorder.hear(&Event::StageStarted(0, "one".to_owned()));
    recorder.hear(&changed(1));
    recorder.end(ended(code)).expect("ended");
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("text");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).expect("an edit");
}

fn problems(book: &Book) -> Vec<String> {
    book.verify().expect("read").problems.into_iter().map(|problem| problem.what).collect()
}

#[test]
fn runs_are_listed_with_their_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let book = Book::new(folder.path());
    assert!(book.read().expect("nothing").runs.is_empty());
    run(&book, "1-a", 0);
    let open = Recorder::begin(book.clone(), begun("2-b")).expect("begun");
    let ends = || book.read().expect("read").runs.iter().map(|record| record.end).collect::<Vec<_>>();
    assert_eq!(ends(), [End::Ended { code: 0, changed: 1, seconds: 2.0 }, End::Running]);
    drop(open);
    assert_eq!(ends()[1], End::NotEnded);
    assert_eq!(problems(&book), Vec::<String>::new());
    let events: Vec<Entry> = book.lines("1-a").expect("lines").into_iter().map(|line| line.what).collect();
    assert!(
        matches!(&events[..], [Entry::Begun(_), Entry::Planned(_), Entry::Stage { .. }, Entry::Step { outcome, .. }, Entry::Ended(_)] if outcome == "changed"),
        "{events:?}"
    );
    let runs = book.read().expect("read").runs;
    assert_eq!(Book::find(&runs, "2").map(|record| record.run.as_str()), Some("2-b"));
    assert_eq!(Book::find(&runs, "3"), None);
}

#[test]
fn changes_to_records_are_detected() {
    let whole = || {
        let folder = tempfile::tempdir().expect("a folder");
        let book = Book::new(folder.path());
        run(&book, "1-a", 0);
        run(&book, "2-b", 1);
        (folder, book)
    };
    let found = |spoil: &dyn Fn(&Path)| {
        let (_folder, book) = whole();
        spoil(book.folder());
        problems(&book).join("\n")
    };
    let in_the_middle = found(&|folder| edit(&folder.join("1-a.jsonl"), "\"content\"", "\"nothing\""));
    assert!(in_the_middle.starts_with("1-a: line 5 does not follow"), "{in_the_middle}");
    let last = found(&|folder| edit(&folder.join("2-b.jsonl"), "\"code\":1", "\"code\":0"));
    assert!(last.starts_with("2-b: the last line"), "{last}");
    let first = found(&|folder| edit(&folder.join("1-a.jsonl"), "anna", "otto"));
    assert!(first.starts_with("1-a: "), "{first}");
    let gone = found(&|folder| fs::remove_file(folder.join("1-a.jsonl")).expect("removed"));
    assert_eq!(gone, "1-a: the record was deleted");
    let register = found(&|folder| edit(&folder.join("register.jsonl"), "\"code\":0", "\"code\":1"));
    assert!(register.contains("register: line 3 does not follow") && register.contains("1-a"), "{register}");
    let more = found(&|folder| {
        fs::copy(folder.join("1-a.jsonl"), folder.join("3-c.jsonl")).expect("copied");
    });
    assert!(more.starts_with("3-c: the record is not in the register"), "{more}");
}

#[test]
fn records_of_concurrent_runs_form_one_chain() {
    let folder = tempfile::tempdir().expect("a folder");
    let book = Book::new(folder.path());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let book = &book;
            scope.spawn(move || (0..5).for_each(|number| run(book, &format!("{thread}-{number}"), 0)));
        }
    });
    assert_eq!(book.read().expect("read").runs.len(), 40);
    assert_eq!(problems(&book), Vec::<String>::new());
}

#[test]
fn resumed_run_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let book = Book::new(folder.path());
    let start = |id: &str| {
        let mut recorder = Recorder::begin(book.clone(), begun(id)).expect("begun");
        let host = HostName("gw1".to_owned());
        assert!(recorder.hear(&Event::Surveying(host.clone(), 10)).is_none());
        assert!(recorder.hear(&Event::Surveyed(host, 4)).is_none());
        let note = recorder.hear(&changed(1));
        assert!(recorder.hear(&changed(2)).is_none(), "reported once");
        (recorder, note)
    };
    run(&book, "1-a", 130);
    run(&book, "2-b", 2);
    let (recorder, first) = start("3-c");
    let Some(Event::Note(_, text)) = first else { panic!("no note") };
    assert!(
        text.starts_with(
            "resuming run 1-a, interrupted 0 s ago, started by anna@laptop in stage 1 of 2 (one): 6 of 10 steps"
        ),
        "{text}"
    );
    assert!(text.ends_with("4 pending"), "{text}");
    drop(recorder);
    let (recorder, second) = start("4-d");
    assert!(matches!(second, Some(Event::Note(_, text)) if text.contains("3-c, killed")));
    recorder.end(ended(0)).expect("ended");
    let (recorder, third) = start("5-e");
    assert!(third.is_none(), "the previous run succeeded");
    let gw1 = HostSum { state: "done".to_owned(), ..HostSum::default() };
    let noticed = Ended { hosts: [("gw1".to_owned(), gw1)].into(), ..ended(1) };
    recorder.end(noticed).expect("ended");
    assert!(start("6-f").1.is_none(), "only a probe failed");
}

/// Ids of the runs in the register, oldest first.
fn kept(book: &Book) -> Vec<String> {
    book.read().expect("read").runs.into_iter().map(|record| record.run).collect()
}

/// Names of the record files.
fn files(book: &Book) -> Vec<String> {
    let entries = fs::read_dir(book.folder()).expect("the folder").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".jsonl").map(str::to_owned)).collect();
    names.sort();
    names
}

#[test]
fn latest_runs_are_kept_and_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let book = Book::keeping(folder.path(), 3, u64::MAX);
    for number in 1..=6 {
        run(&book, &format!("{number}-a"), 0);
    }
    assert_eq!(kept(&book), ["4-a", "5-a", "6-a"]);
    assert_eq!(files(&book), ["4-a", "5-a", "6-a", "register"]);
    assert_eq!(problems(&book), Vec::<String>::new());
    run(&book, "7-a", 0);
    assert_eq!(kept(&book), ["5-a", "6-a", "7-a"]);
    assert_eq!(problems(&book), Vec::<String>::new());
}

#[test]
fn oldest_records_are_deleted_beyond_the_size_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    run(&Book::new(folder.path()), "1-a", 0);
    let one = fs::metadata(folder.path().join("history/1-a.jsonl")).expect("the record").len();
    let book = Book::keeping(folder.path(), 100, one * 2 + one / 2);
    for number in 2..=5 {
        run(&book, &format!("{number}-a"), 0);
    }
    assert_eq!(kept(&book), ["4-a", "5-a"]);
    assert_eq!(files(&book), ["4-a", "5-a", "register"]);
    assert_eq!(problems(&book), Vec::<String>::new());
}

#[test]
fn running_runs_are_never_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let book = Book::keeping(folder.path(), 1, 0);
    let open = Recorder::begin(book.clone(), begun("1-a")).expect("begun");
    run(&book, "2-b", 0);
    run(&book, "3-c", 0);
    assert_eq!(kept(&book), ["1-a", "2-b", "3-c"], "later runs are kept until it ends");
    open.end(ended(0)).expect("ended");
    run(&book, "4-d", 0);
    assert_eq!(kept(&book), ["4-d"]);
    assert_eq!(problems(&book), Vec::<String>::new());
}
