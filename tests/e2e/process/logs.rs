//! `logs`: several nodes in one order, filtered on the hosts, followed across rotation and connection
//! loss.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use apim_tests::cli::{Operator, Running};
use apim_tests::distributions::Distributions;
use apim_tests::poll::until;
use apim_tests::process::Fault;
use apim_tests::rehearsal::Rehearsal;
use rustix::process::Signal;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// Two gateways that were never started; the tests write their logs.
struct Two {
    operator: Operator,
    rehearsal: Rehearsal,
}

impl Two {
    fn new() -> Self {
        let nodes = [
            ("gw1", "gateway", "gateway"),
            ("gw2", "gateway", "gateway"),
            ("cp1", "control_plane", "control-plane"),
        ];
        let rehearsal = Rehearsal::up(&nodes, &Distributions::ready()).expect("the process lab comes up");
        let two = Self { operator: Operator::new(), rehearsal };
        for host in ["gw1", "gw2"] {
            std::fs::create_dir_all(two.log(host).parent().expect("a folder")).expect("a folder");
        }
        two
    }

    fn log(&self, host: &str) -> PathBuf {
        let root = &self.rehearsal.lab.host(host).expect("the host").root;
        root.join("opt/wso2/gateway/current/repository/logs/wso2carbon.log")
    }

    /// Writes an entry with this second, and its continuation lines.
    fn write(&self, host: &str, second: u32, text: &str) {
        let mut file =
            std::fs::OpenOptions::new().append(true).create(true).open(self.log(host)).expect("the log");
        let line = format!("TID: [-1234] [] [2026-11-22 05:00:{second:02},123]  INFO {{x.Y}} - {text}\n");
        file.write_all(line.as_bytes()).expect("written");
    }

    fn start(&self, words: &[&str]) -> Running {
        let inventory = self.rehearsal.write();
        let before = ["logs".as_ref(), inventory.as_os_str()];
        self.operator.start(before.into_iter().chain(words.iter().map(AsRef::as_ref)))
    }

    /// Returns the lines shown, each as host and message.
    fn shown(&self, words: &[&str], code: i32) -> Vec<String> {
        shown(&self.start(words).wait(LIMIT).ended_with(code).stdout)
    }
}

fn shown(text: &str) -> Vec<String> {
    let words = |line: &str| {
        let (host, rest) = line.split_once("  ").unwrap_or((line, ""));
        format!("{} {}", host.trim(), rest.rsplit(" - ").next().unwrap_or(rest).trim())
    };
    text.lines().map(words).collect()
}

#[test]
fn logs_are_merged_by_time_and_keep_multi_line_entries() {
    let two = Two::new();
    two.write("gw1", 1, "one");
    two.write("gw2", 2, "two\njava.lang.Exception: password=hunter2\n\tat x.Y");
    two.write("gw1", 3, "three \u{1b}[2J");
    two.write("gw2", 4, "four");
    let all = ["gw1 one", "gw2 two", "gw2 java.lang.Exception: password=****", "gw2 at x.Y"];
    let lines = two.shown(&["gateway"], 0);
    assert_eq!(lines[..4], all);
    assert_eq!(lines[4..], ["gw1 three \u{fffd}[2J", "gw2 four"]);

    assert_eq!(two.shown(&["gateway", "--lines", "1"], 0), ["gw1 three \u{fffd}[2J", "gw2 four"]);
    assert_eq!(two.shown(&["gateway", "--grep", "Exception|one$"], 0), all);
    assert_eq!(two.shown(&["gw2", "--since", "2026-11-22T05:00:03Z"], 0).len(), 1);
    assert_eq!(two.shown(&["gw2", "--since", "1s"], 0), Vec::<String>::new());

    let run = two.start(&["gw1", "-n", "1", "-o", "json"]).wait(LIMIT).ended_with(0);
    let entry: Value = serde_json::from_str(run.stdout.trim()).expect("one object");
    assert_eq!((&entry["node"], &entry["log"]), (&"gw1".into(), &"carbon".into()));
    assert!(entry["at"].as_str().is_some_and(|at| at.starts_with("2026-11-22T")), "{entry}");

    // Nodes without this log are reported; other logs are shown.
    let run = two.start(&["--file", "audit", "all"]).wait(LIMIT).ended_with(1);
    assert!(run.stderr.contains("gw1: no log") && run.stderr.contains("audit.log"), "{}", run.stderr);
}

#[test]
fn follow_survives_rotation_and_connection_loss() {
    let two = Two::new();
    two.write("gw1", 1, "old");
    let follow = two.start(&["gateway", "--follow", "--grep", "seen|old"]);
    let shows = |words: &str| {
        let is_shown = until(LIMIT, || shown(&follow.output()).iter().any(|line| line == words));
        assert!(is_shown, "not shown: {words}\n{}", follow.output());
    };
    shows("gw1 old");
    // The log of the other node is created only now.
    two.write("gw2", 2, "seen first");
    shows("gw2 seen first");
    two.write("gw1", 3, "not this");
    two.write("gw1", 4, "seen before");
    let log = two.log("gw1");
    std::fs::rename(&log, log.with_file_name("wso2carbon-11-22-2026-1.log")).expect("rotated");
    two.write("gw1", 5, "seen after");
    shows("gw1 seen before");
    shows("gw1 seen after");

    let host = two.rehearsal.lab.host("gw1").expect("the host");
    host.fault(Fault::Refuse);
    let reconnects = until(LIMIT, || follow.output().contains("reconnecting"));
    assert!(reconnects, "{}", follow.output());
    two.write("gw1", 6, "seen meanwhile");
    two.write("gw2", 7, "seen elsewhere");
    shows("gw2 seen elsewhere");
    host.fault(Fault::None);
    shows("gw1 seen meanwhile");
    follow.signal(Signal::INT);
    let run = follow.wait(LIMIT).ended_with(0);
    let lines = shown(&run.stdout);
    for words in ["gw1 old", "gw1 seen before", "gw1 seen after", "gw1 seen meanwhile"] {
        assert_eq!(lines.iter().filter(|line| *line == words).count(), 1, "{words}: {lines:?}");
    }
    assert!(!run.stdout.contains("not this"));
}

#[test]
fn invalid_arguments_contact_no_host() {
    let two = Two::new();
    for (words, error) in [
        (&["--grep", "a(b"][..], "a(b\n     ^\n"),
        (&["--since", "soon"], "neither a time such as"),
        (&["--file", "audot"], "did you mean `audit`?"),
        (&["gatway"], "did you mean `gateway`?"),
        (&["--lines", "many"], "--lines"),
    ] {
        let run = two.start(words).wait(LIMIT).ended_with(2);
        assert!(run.stderr.contains(error), "{words:?}: {}", run.stderr);
    }
    assert_eq!(two.rehearsal.lab.host("gw1").expect("the host").traffic().connections, 0);
}

#[test]
fn large_log_is_bounded() {
    let two = Two::new();
    let line = format!("TID: [] [2026-11-22 05:00:00,000] INFO - {}\n", "x".repeat(4000));
    std::fs::write(two.log("gw1"), line.repeat(20_000)).expect("a long log");
    let run = two.start(&["gw1", "--since", "2026-01-01T00:00:00Z"]).wait(LIMIT).ended_with(0);
    assert!(run.stdout.len() < 10 * 1024 * 1024 && run.stdout.len() > 1024 * 1024, "{}", run.stdout.len());
    let run = two.start(&["gw1", "-n", "3"]).wait(LIMIT).ended_with(0);
    assert_eq!(run.stdout.lines().count(), 3);
}
