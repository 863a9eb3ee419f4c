//! What was done is recorded, here and on the host, whatever the end; records that were touched are found; two runs keep apart.

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
use crate::changed;

fn records(small: &Small) -> PathBuf {
    small.operator.folder().join("home/.local/state/apim-deploy/history")
}

/// Runs `history` with these words, for programs; returns its objects.
fn history(small: &Small, words: &[&str], code: i32) -> Vec<Value> {
    let run = small.operator.run(["history"].iter().chain(words).chain(&["-o", "json"])).ended_with(code);
    run.stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

/// The runs that are listed: how each ended.
fn ends(small: &Small) -> Vec<(String, Option<u64>)> {
    let runs = history(small, &["-n", "0"], 0);
    let runs = runs.iter().filter(|object| object["event"] == "run");
    runs.map(|run| (run["state"].as_str().unwrap_or("").to_owned(), run["code"].as_u64())).collect()
}

fn ended(code: u64) -> (String, Option<u64>) {
    ("ended".to_owned(), Some(code))
}

/// Starts an apply whose server takes `seconds` to come up, and waits until it holds the host.
fn slow(small: &Small, seconds: u32) -> Running {
    let switches = small.host().root.join("opt/wso2/all-in-one/standin.toml");
    let text = fs::read_to_string(&switches).expect("the stand-in's switches");
    fs::write(&switches, text.replace("startup_secs = 0.2", &format!("startup_secs = {seconds}")))
        .expect("slower");
    let mut run = small.operator.start(["apply".as_ref(), small.inventory().as_os_str()]);
    let lock = small.host().state.join("lock");
    let held = || fs::read_to_string(&lock).is_ok_and(|text| text.contains("operator@"));
    assert!(until(Duration::from_secs(60), || held() || run.has_ended()), "{}", run.said());
    let journal = small.host().state.join("journal.jsonl");
    assert!(until(Duration::from_secs(60), || journal.exists() || run.has_ended()), "{}", run.said());
    run
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("text");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).expect("an edit");
}

#[test]
fn every_run_is_recorded_whatever_its_end_and_a_touched_record_is_found() {
    let small = Small::new();
    let mut poison = Poison::default();
    let token = poison.brew("token");
    small.apply().ended_with(0);
    let playbook = small.operator.file(
        "fails.yaml",
        "- hosts: all\n  tasks:\n    - {name: quiet, copy: {content: '{{ token }}', dest: /opt/quiet, mode: '0600'}, no_log: true}\n    - {name: it fails, command: /bin/false}\n",
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
    assert_eq!(ends(&small), [ended(0), ended(1)], "looks, and runs that never began, are not recorded");

    let runs = history(&small, &[], 0);
    let id = runs[1]["run"].as_str().expect("an id").to_owned();
    assert!(runs[1]["operator"].as_str().is_some_and(|who| who.starts_with("operator@")), "{runs:?}");
    let shown = small.operator.run(["history", "show", &id]).ended_with(0);
    for words in ["am1: failed", "it fails", "--extra-vars token=…", "ended with exit code 1"] {
        assert!(shown.stdout.contains(words), "{words} is not in\n{}", shown.stdout);
    }
    let listed = small.operator.run(["history"]).ended_with(0);
    assert!(
        listed.stdout.contains("apply site.yaml") && listed.stdout.contains("failed"),
        "{}",
        listed.stdout
    );

    let (here, state) = (records(&small), small.host().state.clone());
    assert_eq!(poison.in_files(here.parent().expect("a folder"), Which::Everyone), Vec::<String>::new());
    assert_eq!(poison.in_files(&state, Which::Everyone), Vec::<String>::new());
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&here), mode(&here.join(format!("{id}.jsonl")))), (0o700, 0o600));

    // The journal of the host names the runs, and holds together.
    let journal = fs::read(state.join("journal.jsonl")).expect("the journal");
    assert_eq!(chain::verify(journal.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())), Ok(()));
    assert!(String::from_utf8_lossy(&journal).contains(&format!("\"run\":\"{id}\"")));

    history(&small, &["verify"], 0);
    edit(&here.join(format!("{id}.jsonl")), "\"outcome\":\"failed\"", "\"outcome\":\"changed\"");
    let found = history(&small, &["verify"], 1);
    assert_eq!(found[0]["run"], id.as_str(), "{found:?}");
    let told = small.operator.run(["history", "verify"]).ended_with(1);
    assert!(told.stdout.contains("not as it was written") && told.stdout.contains(&id), "{}", told.stdout);
}

#[test]
fn a_second_run_is_refused_naming_the_first_which_is_unharmed() {
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
        "another run holds am1",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    let first = first.wait(Duration::from_secs(120)).ended_with(0);
    assert!(changed(&first) > 10, "{}", first.text());
    assert_eq!(changed(&small.apply().ended_with(0)), 0);
    assert_eq!(ends(&small), [ended(0), ended(1), ended(0)]);
}

#[test]
fn a_run_that_is_killed_holds_nothing_and_the_next_one_says_what_it_goes_on_with() {
    let small = Small::new();
    let first = slow(&small, 2);
    let id = history(&small, &[], 0)[0]["run"].as_str().expect("an id").to_owned();
    assert_eq!(ends(&small), [("running".to_owned(), None)]);
    first.signal(Signal::KILL);
    drop(first);
    assert_eq!(ends(&small), [("not_ended".to_owned(), None)]);
    // The agent finishes the step in hand; the second run waits for that.
    let second = small.apply().ended_with(0);
    let told = second.text().lines().find(|line| line.contains("resuming run")).map(str::to_owned);
    let told = told.unwrap_or_else(|| panic!("nothing was said of the first run\n{}", second.text()));
    for words in [id.as_str(), "killed", "run by operator@", "in stage", "found done"] {
        assert!(told.contains(words), "{words} is not in {told}");
    }
    let third = small.apply().ended_with(0);
    assert!(!third.text().contains("resuming run"), "{}", third.text());
    assert_eq!(changed(&third), 0);
    history(&small, &["verify"], 0);
}

/// Asks the hosts for their journals; returns the objects.
fn hosts(small: &Small, words: &[&str], code: i32) -> Vec<Value> {
    let inventory = small.inventory().display().to_string();
    history(small, &[&["hosts", &inventory][..], words].concat(), code)
}

#[test]
fn hosts_tell_what_was_done_there_and_whether_their_journals_are_whole() {
    let small = Small::new();
    let none = hosts(&small, &[], 0);
    assert_eq!((none.len(), none[0]["lines"].as_u64()), (1, Some(0)), "{none:?}");
    small.apply().ended_with(0);
    small.apply().ended_with(0);
    let runs: Vec<String> = history(&small, &["-n", "0"], 0)
        .iter()
        .filter_map(|run| run["run"].as_str().map(str::to_owned))
        .collect();
    let deeds = |words: &[&str]| {
        let mut all = hosts(&small, words, 0);
        let end = all.pop().expect("the journal's own line");
        assert_eq!((end["event"].as_str(), end["whole"].as_bool()), (Some("journal"), Some(true)), "{end}");
        (all, end)
    };
    let (some, end) = deeds(&["-n", "3"]);
    assert_eq!(some.len(), 3);
    assert!(end["left_out"].as_u64().is_some_and(|left| left > 3), "{end}");
    let (all, _) = deeds(&["--run", &runs[0]]);
    let of_run = |run: &str, all: &[Value]| all.iter().all(|deed| deed["run"] == run);
    assert!(all.len() > 10 && of_run(&runs[0], &all), "{all:?}");
    assert!(all[0]["operator"].as_str().is_some_and(|who| who.starts_with("operator@")), "{:?}", all[0]);
    let (idle, _) = deeds(&["--run", &runs[0], "-v"]);
    assert!(idle.len() > all.len() && of_run(&runs[0], &idle), "{idle:?}");
    assert_eq!(deeds(&["--run", &runs[1]]).0, Vec::<Value>::new(), "it found all as wished");
    assert_eq!(deeds(&["--since", "2035-01-01T00:00:00Z"]).0, Vec::<Value>::new());
    let inventory = small.inventory();
    let words = ["history".as_ref(), "hosts".as_ref(), inventory.as_os_str()];
    let told = small.operator.run(words).ended_with(0);
    assert!(told.stdout.contains(&format!("run {} by operator@", runs[0])), "{}", told.stdout);
    assert_eq!(ends(&small), [ended(0), ended(0)], "looking is not recorded");

    let journal = small.host().state.join("journal.jsonl");
    let whole = fs::read_to_string(&journal).expect("the journal");
    let words = |words: &[&str]| {
        small
            .operator
            .run(["history", "hosts", &inventory.display().to_string(), "--verify"].iter().chain(words))
    };
    assert!(words(&[]).ended_with(0).stdout.contains("as they were written"));
    edit(&journal, "\"outcome\":\"changed\"", "\"outcome\":\"ok\"");
    let told = words(&[]).ended_with(1).stdout;
    assert!(told.starts_with("am1: journal.jsonl is not as it was written, line "), "{told}");
    let cut: Vec<&str> = whole.lines().collect();
    fs::write(&journal, cut[..cut.len() - 1].join("\n") + "\n").expect("cut");
    let told = words(&[]).ended_with(1).stdout;
    assert!(told.contains(&format!("line {}", cut.len() - 1)) && told.contains("cut off"), "{told}");
    let found = hosts(&small, &[], 1);
    assert_eq!(found.last().expect("its end")["flaw"]["file"], "journal.jsonl", "{found:?}");
}

#[test]
fn a_journal_is_read_while_a_run_holds_the_host() {
    let small = Small::new();
    let first = slow(&small, 4);
    let seen = hosts(&small, &["-n", "0", "-v"], 0);
    let id = history(&small, &[], 0)[0]["run"].as_str().expect("an id").to_owned();
    assert!(seen.len() > 1 && seen[0]["run"] == id.as_str(), "{seen:?}");
    assert_eq!(ends(&small), [("running".to_owned(), None)], "it goes on meanwhile");
    first.wait(Duration::from_secs(120)).ended_with(0);
}

#[test]
fn a_command_by_hand_is_recorded_without_its_secrets_and_what_it_said() {
    let small = Small::new();
    let mut poison = Poison::default();
    let token = poison.brew("token");
    let inventory = small.inventory();
    let exec = |words: &[&str], code: i32| {
        let before = ["exec".as_ref(), inventory.as_os_str(), "am1".as_ref()];
        small.operator.run(before.into_iter().chain(words.iter().map(AsRef::as_ref))).ended_with(code)
    };
    let secret = format!("echo token={token}; echo said-by-it; exit 7");
    exec(&["--shell", "--chdir", "/etc", "--", &secret], 1);
    exec(&["--read-only", "--", "true"], 0);
    assert_eq!(ends(&small), [ended(1)], "a command that only reads is not recorded");
    let run = &history(&small, &[], 0)[0];
    let id = run["run"].as_str().expect("an id");
    assert!(run["verb"] == "exec" && run["changed"] == 1, "{run}");
    let shown = small.operator.run(["history", "show", id]).ended_with(0).stdout;
    for words in ["echo token=****", "am1: exit status 7", "--shell --chdir /etc", "exit code 1"] {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }
    assert!(!shown.contains("am1: said-by-it") && !shown.contains("\nsaid-by-it"), "{shown}");
    assert_eq!(poison.in_files(&records(&small), Which::Everyone), Vec::<String>::new());
    let seen = hosts(&small, &["--run", id], 0);
    assert!(seen[0]["title"].as_str().is_some_and(|title| title.starts_with("exec: echo")), "{seen:?}");
    small.operator.run(["history"]).ended_with(0);

    // Where nothing can be recorded nothing is run.
    let before = fs::read_to_string(small.host().state.join("journal.jsonl")).expect("the journal");
    let run = exec(&["--state-dir", "/proc/none", "--", "true"], 2);
    assert!(run.stderr.contains("/proc/none"), "{}", run.text());
    let after = fs::read_to_string(small.host().state.join("journal.jsonl")).expect("the journal");
    assert_eq!(before, after);
}
