//! Tests of reports.

mod releases;

use std::time::Duration;

use apim_protocol::message::StepId;
use apim_protocol::operation::Operation;
use apim_protocol::operation::absent::Absent;
use apim_protocol::outcome::{Difference, Failure, Outcome};
use apim_protocol::value::AbsPath;

use super::changes::Detail;
use super::*;
use apim_product::NodeName;
use apim_product::StepOptions;
use apim_rollout::engine::{HostEnd, HostResult, Stopped, Tally};
use apim_rollout::plan::model::{Lane, OnFailure, Stage, Step};
use apim_rollout::probe::{self, Sum};
use apim_transport::host::HostName;

fn host(name: &str) -> HostName {
    HostName(name.to_owned())
}

fn step(id: u32, node: &str, title: &str) -> Step {
    Step {
        id: StepId(id),
        title: format!("gateway {node}: {title}"),
        work: Operation::Absent(Absent { path: AbsPath::parse("/x").unwrap(), recursive: false }).into(),
        node: Some(NodeName(node.to_owned())),
        budget: None,
        proves_health: false,
        options: StepOptions::default(),
        rescue: Vec::new(),
    }
}

/// Titles of the gateways `gw1` to `gw9`.
fn titles() -> NodeTitles {
    (1..10).map(|number| (NodeName(format!("gw{number}")), format!("gateway gw{number}"))).collect()
}

/// Two gateways, each with a file and a health check.
fn plan() -> Plan {
    let lane = |name: &str, id: u32| Lane {
        host: host(name),
        steps: vec![step(id, name, "deployment.toml"), step(id + 1, name, "started")],
    };
    let stage = Stage {
        title: "start gateways".into(),
        lanes: vec![lane("gw1", 1), lane("gw2", 3)],
        width: None,
        on_failure: OnFailure::StopAtBarrier,
    };
    Plan { stages: vec![stage], ..Plan::default() }
}

fn changed() -> Difference {
    Difference {
        changes: vec!["content".into(), "mode 0644 -> 0600".into()],
        diff: Some("--- before\n+++ after\n@@ -1 +1 @@\n-offset = 0\n+offset = 1\n".into()),
    }
}

fn unhealthy(log: &str) -> Failure {
    Failure {
        what: "gave up waiting for `started` after 300 s: HTTP 200 from https://localhost:9443/services/Version; \
               last answer: connection refused"
            .into(),
        causes: vec!["the database cannot be reached".into()],
        log: vec![log.into(), "\x1b[2Jcleared your screen".into()],
        hint: Some("see that db.example.com:3306 can be reached from the host".into()),
    }
}

fn failed_run() -> RunResult {
    let mut result = RunResult { wall: Duration::from_secs(312), ..RunResult::default() };
    for (name, id) in [("gw1", 1), ("gw2", 3)] {
        result.outcomes.insert(StepId(id), Outcome::Changed(changed()));
        result.outcomes.insert(StepId(id + 1), Outcome::Failed(unhealthy("Communications link failure")));
        let tally = Tally { ok: 3, changed: 1, failed: 1, ..Tally::default() };
        let end = HostEnd::Failed(format!("gateway {name}: started"));
        result.hosts.insert(host(name), HostResult { tally, end, facts: None });
    }
    let end = HostEnd::Unreachable(
        Failure::new("cp1 does not answer on 10.0.0.9:22 within 10 s").hint("is it up?"),
    );
    let tally = Tally { unreachable: 1, ..Tally::default() };
    result.hosts.insert(host("cp1"), HostResult { tally, end, facts: None });
    result.stages.push((0, Duration::from_secs(310)));
    let why = "gw1, gw2 failed or could not be reached".into();
    result.stopped = Some(Stopped { stage: 0, title: "start gateways".into(), why });
    result
}

#[test]
fn identical_failures_are_grouped() {
    insta::assert_snapshot!(failure::text(&plan(), &failed_run(), &titles(), Style::plain()));
}

#[test]
fn recap_of_a_failed_run() {
    insta::assert_snapshot!(recap::text(&plan(), &failed_run(), &[], &titles(), Style::plain()));
}

#[test]
fn recap_of_a_run_with_nothing_to_do() {
    let mut result =
        RunResult { nothing_to_do: true, wall: Duration::from_millis(420), ..RunResult::default() };
    let tally = Tally { ok: 24, ..Tally::default() };
    result.hosts.insert(host("gw1"), HostResult { tally, ..HostResult::default() });
    result.hosts.insert(host("gw2"), HostResult { tally, ..HostResult::default() });
    result.stages.push((0, Duration::ZERO));
    insta::assert_snapshot!(recap::text(&plan(), &result, &[], &titles(), Style::plain()));
}

#[test]
fn changes_with_and_without_diffs() {
    let mut result = RunResult::default();
    result.outcomes.insert(StepId(1), Outcome::WouldChange(changed()));
    result.outcomes.insert(StepId(2), Outcome::Ok);
    result.outcomes.insert(StepId(3), Outcome::Ok);
    result.outcomes.insert(StepId(4), Outcome::Failed(Failure::new("cannot read /x")));
    let short = changes::text(&plan(), &result, Detail { diff: false, all: false }, Style::plain());
    let long = changes::text(&plan(), &result, Detail { diff: true, all: true }, Style::plain());
    insta::assert_snapshot!(format!("{short}-----\n{long}"));
}

#[test]
fn no_pending_change_is_reported() {
    let text =
        changes::text(&plan(), &RunResult::default(), Detail { diff: true, all: false }, Style::plain());
    assert_eq!(text, "nothing would change\n");
}

#[test]
fn unreachable_hosts_are_not_up_to_date() {
    let verdict = |result: &RunResult| {
        let text = changes::text(&plan(), result, Detail { diff: false, all: false }, Style::new(true));
        text.lines().last().unwrap_or_default().to_owned()
    };
    let good = Style::new(true).good("x").split('x').next().unwrap().to_owned();
    let mut result = RunResult::default();
    assert!(verdict(&result).starts_with(&good));
    let away =
        || HostResult { end: HostEnd::Unreachable(Failure::new("no answer")), ..HostResult::default() };
    result.hosts.insert(host("gw1"), away());
    result.hosts.insert(host("gw2"), HostResult::default());
    assert!(verdict(&result).contains("1 of 2 hosts unreachable"));
    assert!(!verdict(&result).starts_with(&good));
    result.outcomes.insert(StepId(3), Outcome::WouldChange(changed()));
    assert!(verdict(&result).contains("1 change, on 1 host; 1 host was not checked"));
    let stopped = RunResult { interrupted: true, ..RunResult::default() };
    assert!(verdict(&stopped).contains("2 of 2 hosts not checked"));
    let mut failed = RunResult::default();
    failed.outcomes.insert(StepId(1), Outcome::Failed(Failure::new("cannot read /x")));
    assert!(verdict(&failed).contains("no change found; 1 step could not be checked"));
}

#[test]
fn lines_show_only_changes_and_failures() {
    let look = Look {
        json: false,
        verbosity: 0,
        diff: false,
        live: false,
        out: Style::plain(),
        err: Style::plain(),
    };
    let mut differing = 0;
    let took = Duration::from_secs(3);
    let finished =
        |outcome| Event::StepFinished(host("gw1"), StepId(1), "deployment.toml".into(), outcome, took);
    let mut said = |outcome| lines::words(&finished(outcome), &look, &mut differing);
    assert_eq!(said(Outcome::Ok), []);
    assert_eq!(
        said(Outcome::Changed(changed())),
        [(Some("gw1".into()), "changed  deployment.toml (3.0 s)".to_owned())]
    );
    assert_eq!(
        said(Outcome::Failed(Failure::new("no room"))),
        [(Some("gw1".into()), "failed   deployment.toml (3.0 s): no room".to_owned())]
    );
}

#[test]
fn events_are_one_json_object_per_line() {
    let mut out = Vec::new();
    let mut face = json::Json::new(&mut out);
    let outcome = Outcome::Failed(unhealthy("line\nbreak"));
    face.event(&Event::StepFinished(
        host("gw1"),
        StepId(7),
        "started".into(),
        outcome,
        Duration::from_millis(1500),
    ));
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["event"], "step_finished");
    assert_eq!((&value["step"], &value["seconds"]), (&7.into(), &1.5.into()));
    let recap: serde_json::Value =
        serde_json::from_str(&json::recap(&plan(), &failed_run(), &[], &titles())).unwrap();
    assert_eq!(recap["hosts"]["cp1"]["state"], "unreachable");
    assert_eq!(recap["success"], false);
}

#[test]
fn control_characters_are_escaped() {
    let text = style::harmless("a\x1b]0;title\x07b\u{202e}c\nd");
    assert_eq!(text, "a\\u{1b}]0;title\\u{7}b\\u{202e}c\nd");
}

/// A URL without failures, one with failures, and one without a good answer.
fn probed() -> Vec<Sum> {
    let at = |seconds: u32| format!("2026-11-22T03:12:{seconds:02}.123Z");
    let doing = "gateway gw1: service, stopping wso2-gateway".to_owned();
    let failures = |why: &str, count| {
        let (why, doing) = (why.to_owned(), doing.clone());
        probe::Failures { at: at(7), why, doing, count }
    };
    let slowest = probe::Slow { at: at(9), seconds: 1.3, doing: "checking the hosts".into() };
    let good = Sum {
        url: "https://gw.example.com/pizza/1.0".into(),
        since: Some(at(0)),
        sent: 1204,
        again: 2,
        gap: Some(probe::Gap { at: at(7), seconds: 0.21, failed: 0, doing: doing.clone(), open: false }),
        slowest: Some(slowest),
        ..Sum::default()
    };
    let bad = Sum {
        url: "https://api.example.com/services/Version".into(),
        failed: 34,
        left_out: 1,
        again: 0,
        gap: Some(probe::Gap { at: at(7), seconds: 3.4, failed: 34, doing: doing.clone(), open: true }),
        failures: vec![failures("connection refused", 30), failures("status \x1b[2J503", 3)],
        more: 1,
        ..good.clone()
    };
    let url = "https://new.example.com/".to_owned();
    vec![good, bad, Sum { url, refusal: Some("status 404".into()), ..Sum::default() }]
}

#[test]
fn recap_with_probes() {
    let mut result = RunResult { wall: Duration::from_secs(120), ..RunResult::default() };
    let tally = Tally { ok: 24, changed: 2, ..Tally::default() };
    result.hosts.insert(host("gw1"), HostResult { tally, ..HostResult::default() });
    insta::assert_snapshot!(recap::text(&plan(), &result, &probed(), &titles(), Style::plain()));
    let none_failed = recap::text(&plan(), &result, &probed()[..1], &titles(), Style::plain());
    assert!(!none_failed.contains("(exit 1)"), "{none_failed}");
}

#[test]
fn failed_probe_is_not_a_success_in_json() {
    let read = |probed: &[Sum]| -> serde_json::Value {
        serde_json::from_str(&json::recap(&plan(), &RunResult::default(), probed, &titles())).unwrap()
    };
    assert_eq!(read(&probed()[..1])["success"], true);
    let recap = read(&probed());
    assert_eq!(recap["success"], false);
    insta::assert_snapshot!(serde_json::to_string_pretty(&recap["probes"]).unwrap());
    let silent = &probed()[2..];
    assert_eq!(read(silent)["success"], false, "availability is unknown");
}

#[test]
fn failing_probes_are_reported_during_the_run() {
    let url = "https://gw.example.com/".to_owned();
    let events = [
        Event::ProbeFailed { url: url.clone(), why: "status 503".into(), doing: "stage 2: gateways".into() },
        Event::ProbeAnswers { url, gap: Duration::from_millis(3400), failed: 34 },
        Event::Probed { sent: 10, failed: 3 },
    ];
    let (mut out, mut objects) = (Vec::new(), Vec::new());
    for event in &events {
        lines::Lines::new(&mut out, Look::detect(false, 0, false)).event(event);
        json::Json::new(&mut objects).event(event);
    }
    let (out, objects) = (String::from_utf8(out).unwrap(), String::from_utf8(objects).unwrap());
    assert!(
        out.contains("probe https://gw.example.com/ failed: status 503 (during: stage 2: gateways)"),
        "{out}"
    );
    assert!(out.contains("answers again after 3.4 s: 34 failed") && out.lines().count() == 2, "{out}");
    let read = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let read: Vec<serde_json::Value> = objects.lines().map(read).collect();
    assert_eq!(read.len(), 2, "{objects}");
    assert_eq!((&read[0]["event"], &read[0]["why"]), (&"probe_failed".into(), &"status 503".into()));
    assert_eq!((&read[1]["gap"], &read[1]["failed"]), (&3.4.into(), &34.into()));
}
