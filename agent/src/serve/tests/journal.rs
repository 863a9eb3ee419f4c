//! The journal while several sessions of a run add to it, and when it is set aside.

use std::fs;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use apim_protocol::chain;
use apim_protocol::message::StepId;
use apim_protocol::outcome::{Change, Difference, Outcome, ReleaseChange};
use apim_protocol::value::Sha256;

use crate::query::read_journal::{FILE, LAST_FILE, LIMIT, OLD_FILE};
use crate::serve::journal;
use crate::serve::journal::{Journal, Line};

fn line(title: &str) -> Line<'_> {
    Line {
        before: None,
        time: 1,
        run: "r",
        step: StepId(1),
        operator: "ann@desk",
        title,
        outcome: "ok",
        detail: Vec::new(),
        changes: Vec::new(),
        millis: 1,
    }
}

fn lines(folder: &Path) -> Vec<Vec<u8>> {
    let text = [OLD_FILE, FILE].map(|name| fs::read(folder.join(name)).unwrap_or_default()).concat();
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

fn verify(folder: &Path) -> Result<(), chain::Broken> {
    chain::verify(lines(folder).iter().map(Vec::as_slice))
}

#[test]
fn release_change_survives_a_lost_link() {
    let folder = tempfile::tempdir().unwrap();
    let release = ReleaseChange { from: "4.5.0-0a".into(), to: "4.6.0-9f".into() };
    let restart = Change::Restart { reasons: vec!["configuration changed".into()] };
    let done = Outcome::Changed(Difference::of([release.into(), restart]));
    let (outcome, detail) = journal::words(&done);
    let changes = journal::typed(&done);
    assert_eq!(detail, ["release 4.5.0-0a -> 4.6.0-9f", "restart: configuration changed"]);
    let journal = Journal::new(folder.path());
    journal.append(Line { outcome, detail, changes, ..line("move") }).unwrap();
    assert_eq!(journal.done("r").first().map(|step| &step.outcome), Some(&done));
}

#[test]
fn line_without_typed_changes_is_read_back_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let old = r#"{"time":1,"run":"r","step":1,"operator":"a","title":"t","outcome":"changed","detail":["mode 0644 -> 0600"],"millis":1}"#;
    fs::write(folder.path().join(FILE), format!("{old}\n")).unwrap();
    let done = Journal::new(folder.path()).done("r");
    let expected = Outcome::Changed(Difference::one("mode 0644 -> 0600"));
    assert_eq!(done.first().map(|step| &step.outcome), Some(&expected));
}

#[test]
fn two_sessions_of_a_run_write_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (own, beside) = (Journal::new(folder.path()), Journal::new(folder.path()));
    for _ in 0..3 {
        own.append(line("own")).unwrap();
        own.append(line("own")).unwrap();
        beside.append(line("beside")).unwrap();
    }
    assert_eq!((lines(folder.path()).len(), verify(folder.path())), (9, Ok(())));
}

#[test]
fn set_aside_it_is_still_one_chain_and_the_last_line_is_kept_when_a_session_ends() {
    let folder = tempfile::tempdir().unwrap();
    let last = || fs::read_to_string(folder.path().join(LAST_FILE)).unwrap_or_default();
    Journal::new(folder.path()).seal().unwrap();
    assert_eq!(last(), "", "nothing was written");
    let journal = Journal::new(folder.path());
    journal.append(line("one")).unwrap();
    let mut text = Vec::new();
    let mut former = lines(folder.path()).remove(0);
    while text.len() as u64 <= LIMIT {
        former =
            format!("{{\"before\":\"{}\",\"x\":\"{}\"}}", Sha256::of(&former), "x".repeat(10_000)).into();
        text.extend_from_slice(&former);
        text.push(b'\n');
    }
    let path = folder.path().join(FILE);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(&text).unwrap();
    journal.append(line("two")).unwrap();
    journal.append(line("three")).unwrap();
    assert!(folder.path().join(OLD_FILE).exists());
    assert_eq!(last().trim(), Sha256::of(&former).to_string(), "what was last when it was set aside");
    journal.seal().unwrap();
    let all = lines(folder.path());
    assert_eq!(verify(folder.path()), Ok(()));
    assert_eq!(last().trim(), Sha256::of(&all[all.len() - 1]).to_string());
}
