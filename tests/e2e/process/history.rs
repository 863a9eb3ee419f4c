//! Run records and host journals: written however a run ends; edits are detected; the host lock keeps
//! two runs apart.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use apim_protocol::chain;
use apim_tests::cli::{Run, Running};
use apim_tests::poison::{Poison, Which};
use apim_tests::poll::until;
use rustix::process::Signal;
use serde_json::Value;

use super::Small;
use crate::{JSON, assert_nothing_changed, changed, notes};

fn records(small: &Small) -> PathBuf {
    small.operator.folder().join("home/.local/state/apim-deploy/history")
}

/// Runs `history -o json` with these arguments; returns its objects.
fn history(small: &Small, words: &[&str], code: i32) -> Vec<Value> {
    let run = small.operator.run(["history"].iter().chain(words).chain(&["-o", "json"])).ended_with(code);
    run.stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

/// The state and exit code of each listed run.
fn ends(small: &Small) -> Vec<(String, Option<u64>)> {
    let runs = history(small, &["-n", "0"], 0);
    let runs = runs.iter().filter(|object| object["event"] == "run");
    runs.map(|run| (run["state"].as_str().unwrap_or("").to_owned(), run["code"].as_u64())).collect()
}

fn ended(code: u64) -> (String, Option<u64>) {
    ("ended".to_owned(), Some(code))
}

/// Starts an apply whose server needs `seconds` to start, and waits until it has locked the host.
fn slow(small: &Small, seconds: u32) -> Running {
    let switches = small.host().root.join("opt/wso2/all-in-one/standin.toml");
    let text = fs::read_to_string(&switches).expect("the stand-in's switches");
    fs::write(&switches, text.replace("startup_secs = 0.2", &format!("startup_secs = {seconds}")))
        .expect("the changed switches");
    let inventory = small.inventory();
    let arguments = ["apply".as_ref(), inventory.as_os_str()].into_iter().chain(JSON.map(AsRef::as_ref));
    let mut run = small.operator.start(arguments);
    let lock = small.host().state.join("lock");
    let held = || fs::read_to_string(&lock).is_ok_and(|text| text.contains("operator@"));
    assert!(until(Duration::from_secs(60), || held() || run.has_ended()), "{}", run.output());
    let journal = small.host().state.join("journal.jsonl");
    assert!(until(Duration::from_secs(60), || journal.exists() || run.has_ended()), "{}", run.output());
    run
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("text");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).expect("an edit");
}

#[test]
fn runs_are_recorded_and_edited_records_are_found() {
    let small = Small::new();
    let mut poison = Poison::default();
    let token = poison.add_random("token");
    small.apply().ended_with(0);
    let playbook = small.operator.file(
        "fails.yaml",
        "- hosts: all\n  tasks:\n    - {name: hidden, copy: {content: '{{ token }}', dest: /opt/hidden, mode: '0600'}, no_log: true}\n    - {name: always fails, command: /bin/false}\n",
    );
    let inventory = small.inventory();
    let failing = |extra: &str| -> Run {
        let words = ["apply".as_ref(), inventory.as_os_str(), "-p".as_ref(), playbook.as_os_str()];
        small.operator.run(words.into_iter().chain(["-e".as_ref(), extra.as_ref()]))
    };
    let failed = failing(&format!("token={token}")).ended_with(1);
    assert_eq!(poison.in_bytes(failed.text().as_bytes()), Vec::<String>::new());
    small.operator.run(["plan".as_ref(), inventory.as_os_str()]).ended_with(0);
    small
        .operator
        .run(["apply".as_ref(), inventory.as_os_str(), "--tags".as_ref(), "none-such".as_ref()])
        .ended_with(2);
    assert_eq!(ends(&small), [ended(0), ended(1)], "a plan or an invalid command line was recorded");

    let runs = history(&small, &[], 0);
    let id = runs[1]["run"].as_str().expect("an id").to_owned();
    assert!(runs[1]["operator"].as_str().is_some_and(|name| name.starts_with("operator@")), "{runs:?}");
    let shown = small.operator.run(["history", "show", &id]).ended_with(0);
    for words in ["am1: failed", "always fails", "--extra-vars token=…", "ended with exit code 1"] {
        assert!(shown.stdout.contains(words), "{words} is not in\n{}", shown.stdout);
    }
    let listed = small.operator.run(["history"]).ended_with(0);
    assert!(
        listed.stdout.contains("apply site.yaml") && listed.stdout.contains("failed"),
        "{}",
        listed.stdout
    );

    let (local, state) = (records(&small), small.host().state.clone());
    assert_eq!(poison.in_files(local.parent().expect("a folder"), Which::Everyone), Vec::<String>::new());
    assert_eq!(poison.in_files(&state, Which::Everyone), Vec::<String>::new());
    let mode = |path: &Path| fs::metadata(path).expect("its metadata").permissions().mode() & 0o777;
    assert_eq!((mode(&local), mode(&local.join(format!("{id}.jsonl")))), (0o700, 0o600));

    // The host's journal contains the run, and its chain of digests is intact.
    let journal = fs::read(state.join("journal.jsonl")).expect("the journal");
    assert_eq!(chain::verify(journal.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())), Ok(()));
    assert!(String::from_utf8_lossy(&journal).contains(&format!("\"run\":\"{id}\"")));

    history(&small, &["verify"], 0);
    edit(&local.join(format!("{id}.jsonl")), "\"outcome\":\"failed\"", "\"outcome\":\"changed\"");
    let found = history(&small, &["verify"], 1);
    assert_eq!(found[0]["run"], id.as_str(), "{found:?}");
    let shown = small.operator.run(["history", "verify"]).ended_with(1);
    assert!(shown.stdout.contains("integrity error") && shown.stdout.contains(&id), "{}", shown.stdout);
}

#[test]
fn second_run_is_refused_and_first_continues() {
    let small = Small::new();
    let first = slow(&small, 6);
    let inventory = small.inventory();
    let second = small.operator.run([
        "apply".as_ref(),
        inventory.as_os_str(),
        "--wait-for-lock".as_ref(),
        "0".as_ref(),
    ]);
    let second = second.ended_with(1);
    let text = second.text();
    for words in [
        "operator@",
        "has held this host for",
        "apply site.yaml of",
        "inventory.yaml",
        "another run has locked am1",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    let first = first.wait(Duration::from_secs(120)).ended_with(0);
    assert!(changed(&first) > 10, "{}", first.text());
    small.assert_up_to_date();
    assert_eq!(ends(&small), [ended(0), ended(1), ended(0)]);
}

#[test]
fn killed_run_releases_lock_and_next_run_resumes() {
    let small = Small::new();
    let first = slow(&small, 2);
    let id = history(&small, &[], 0)[0]["run"].as_str().expect("an id").to_owned();
    assert_eq!(ends(&small), [("running".to_owned(), None)]);
    first.signal(Signal::KILL);
    drop(first);
    assert_eq!(ends(&small), [("not_ended".to_owned(), None)]);
    // The agent finishes its current step; the second run waits for that.
    let resuming = |run: &Run| notes(run).into_iter().find(|note| note.contains("resuming run"));
    let second = small.apply_json().ended_with(0);
    let note = resuming(&second).unwrap_or_else(|| panic!("no note about the first run\n{}", second.text()));
    for words in [id.as_str(), "killed", "started by operator@", "in stage", "up to date"] {
        assert!(note.contains(words), "{words} is not in {note}");
    }
    let third = small.apply_json().ended_with(0);
    assert_eq!(resuming(&third), None);
    assert_nothing_changed(third);
    history(&small, &["verify"], 0);
}

/// Runs `history hosts -o json`; returns its objects.
fn hosts(small: &Small, words: &[&str], code: i32) -> Vec<Value> {
    let inventory = small.inventory().display().to_string();
    history(small, &[&["hosts", &inventory][..], words].concat(), code)
}

#[test]
fn host_journals_are_listed_and_verified() {
    let small = Small::new();
    let none = hosts(&small, &[], 0);
    assert_eq!((none.len(), none[0]["lines"].as_u64()), (1, Some(0)), "{none:?}");
    small.apply().ended_with(0);
    small.apply().ended_with(0);
    let runs: Vec<String> = history(&small, &["-n", "0"], 0)
        .iter()
        .filter_map(|run| run["run"].as_str().map(str::to_owned))
        .collect();
    let entries = |words: &[&str]| {
        let mut all = hosts(&small, words, 0);
        let end = all.pop().expect("the line of the journal");
        assert_eq!((end["event"].as_str(), end["whole"].as_bool()), (Some("journal"), Some(true)), "{end}");
        (all, end)
    };
    let (some, end) = entries(&["-n", "3"]);
    assert_eq!(some.len(), 3);
    assert!(end["left_out"].as_u64().is_some_and(|count| count > 3), "{end}");
    let (all, _) = entries(&["--run", &runs[0]]);
    let of_run = |run: &str, all: &[Value]| all.iter().all(|entry| entry["run"] == run);
    assert!(all.len() > 10 && of_run(&runs[0], &all), "{all:?}");
    assert!(all[0]["operator"].as_str().is_some_and(|name| name.starts_with("operator@")), "{:?}", all[0]);
    let (idle, _) = entries(&["--run", &runs[0], "-v"]);
    assert!(idle.len() > all.len() && of_run(&runs[0], &idle), "{idle:?}");
    assert_eq!(entries(&["--run", &runs[1]]).0, Vec::<Value>::new(), "the second run changed nothing");
    assert_eq!(entries(&["--since", "2035-01-01T00:00:00Z"]).0, Vec::<Value>::new());
    let inventory = small.inventory();
    let words = ["history".as_ref(), "hosts".as_ref(), inventory.as_os_str()];
    let shown = small.operator.run(words).ended_with(0);
    assert!(shown.stdout.contains(&format!("run {} by operator@", runs[0])), "{}", shown.stdout);
    assert_eq!(ends(&small), [ended(0), ended(0)], "a query was recorded");

    let journal = small.host().state.join("journal.jsonl");
    let intact = fs::read_to_string(&journal).expect("the journal");
    let verify = |words: &[&str]| {
        small
            .operator
            .run(["history", "hosts", &inventory.display().to_string(), "--verify"].iter().chain(words))
    };
    assert!(verify(&[]).ended_with(0).stdout.contains("integrity OK"));
    edit(&journal, "\"outcome\":\"changed\"", "\"outcome\":\"ok\"");
    let shown = verify(&[]).ended_with(1).stdout;
    assert!(shown.starts_with("am1: integrity error in journal.jsonl, line "), "{shown}");
    let cut: Vec<&str> = intact.lines().collect();
    fs::write(&journal, cut[..cut.len() - 1].join("\n") + "\n").expect("cut");
    let shown = verify(&[]).ended_with(1).stdout;
    assert!(shown.contains(&format!("line {}", cut.len() - 1)) && shown.contains("cut off"), "{shown}");
    let found = hosts(&small, &[], 1);
    assert_eq!(found.last().expect("the last object")["flaw"]["file"], "journal.jsonl", "{found:?}");
}

#[test]
fn journal_is_readable_while_host_is_locked() {
    let small = Small::new();
    let first = slow(&small, 4);
    let entries = hosts(&small, &["-n", "0", "-v"], 0);
    let id = history(&small, &[], 0)[0]["run"].as_str().expect("an id").to_owned();
    assert!(entries.len() > 1 && entries[0]["run"] == id.as_str(), "{entries:?}");
    assert_eq!(ends(&small), [("running".to_owned(), None)], "the run is not running any more");
    first.wait(Duration::from_secs(120)).ended_with(0);
}

#[test]
fn exec_is_recorded_without_secrets_and_output() {
    let small = Small::new();
    let mut poison = Poison::default();
    let token = poison.add_random("token");
    let inventory = small.inventory();
    let exec = |words: &[&str], code: i32| {
        let before = ["exec".as_ref(), inventory.as_os_str(), "am1".as_ref()];
        small.operator.run(before.into_iter().chain(words.iter().map(AsRef::as_ref))).ended_with(code)
    };
    let secret = format!("echo token={token}; echo output-text; exit 7");
    exec(&["--shell", "--chdir", "/etc", "--", &secret], 1);
    exec(&["--read-only", "--", "true"], 0);
    assert_eq!(ends(&small), [ended(1)], "a read-only command was recorded");
    let run = &history(&small, &[], 0)[0];
    let id = run["run"].as_str().expect("an id");
    assert!(run["verb"] == "exec" && run["changed"] == 1, "{run}");
    let shown = small.operator.run(["history", "show", id]).ended_with(0).stdout;
    for words in ["echo token=****", "am1: exit status 7", "--shell --chdir /etc", "exit code 1"] {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }
    assert!(!shown.contains("am1: output-text") && !shown.contains("\noutput-text"), "{shown}");
    assert_eq!(poison.in_files(&records(&small), Which::Everyone), Vec::<String>::new());
    let entries = hosts(&small, &["--run", id], 0);
    assert!(entries[0]["title"].as_str().is_some_and(|title| title.starts_with("exec: echo")), "{entries:?}");
    small.operator.run(["history"]).ended_with(0);

    // A command that cannot be recorded is not run.
    let before = fs::read_to_string(small.host().state.join("journal.jsonl")).expect("the journal");
    let run = exec(&["--state-dir", "/proc/none", "--", "true"], 2);
    assert!(run.stderr.contains("/proc/none"), "{}", run.text());
    let after = fs::read_to_string(small.host().state.join("journal.jsonl")).expect("the journal");
    assert_eq!(before, after);
}
