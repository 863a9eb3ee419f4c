//! Saved plans: content, rejection and staleness.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use apim_protocol::facts::Facts;
use apim_protocol::message::StepId;
use apim_protocol::operation::Operation;
use apim_protocol::operation::command::{Command, Invocation};
use apim_protocol::outcome::{Difference, Failure, Outcome};
use apim_protocol::value::{Secret, Sha256};

use super::*;
use crate::plan::model::{Lane, OnFailure, Plan, Stage, Step};
use apim_product::StepOptions;
use apim_transport::host::HostName;

const PASSWORD: &str = "a-password-that-is-nowhere-else";

fn step(id: u32, title: &str, password: &str) -> Step {
    let run = Invocation {
        argv: vec!["/bin/true".to_owned()],
        environment: BTreeMap::from([("SETTING".to_owned(), Secret::new(password))]),
        ..Invocation::default()
    };
    let (creates, removes, unless, success) = (None, None, None, Vec::new());
    let command = Command { run, creates, removes, unless, success, changes: true };
    Step {
        id: StepId(id),
        title: title.to_owned(),
        work: Operation::Command(command).into(),
        node: None,
        budget: None,
        proves_health: false,
        options: StepOptions::default(),
        rescue: Vec::new(),
    }
}

fn plan(steps: Vec<Step>) -> Plan {
    let lanes = vec![Lane { host: host(), steps }];
    let stage = Stage { title: "all".to_owned(), lanes, width: None, on_failure: OnFailure::StopAtBarrier };
    Plan { stages: vec![stage], ..Plan::default() }
}

fn host() -> HostName {
    HostName("gw1".to_owned())
}

fn facts() -> Facts {
    Facts { machine: "m1".to_owned(), hostname: "gw1".to_owned(), ..Facts::default() }
}

fn differs(how: &str) -> Outcome {
    Outcome::WouldChange(Difference::one(how))
}

fn seen(outcomes: Vec<Outcome>) -> BTreeMap<StepId, Outcome> {
    (1..).map(StepId).zip(outcomes).collect()
}

fn bound(key: &Key, outcomes: Vec<Outcome>) -> SavedPlan {
    let options = CommandOptions {
        inventory: PathBuf::from("/i.yaml"),
        playbook: None,
        limit: None,
        tags: Vec::new(),
        skip_tags: Vec::new(),
        extra_vars: None,
        max_unavailable: vec!["gateway=2".to_owned()],
        allow_outage: false,
        no_drain: true,
    };
    let origin = Origin {
        at: "2026-01-01T00:00:00Z".to_owned(),
        by: "anna@laptop".to_owned(),
        version: "1.0.0".to_owned(),
        build: Sha256::of(b"program"),
        agents: BTreeMap::new(),
    };
    let plan = plan(vec![step(1, "one", PASSWORD), step(2, "two", "")]);
    SavedPlan {
        origin,
        options,
        files: BTreeMap::from([("i.yaml".to_owned(), key.digest("file", b"text"))]),
        artifacts: BTreeMap::new(),
        stages: stages(&plan, &seen(outcomes), key),
        hosts: hosts([(&host(), &facts())].into_iter()),
    }
}

fn key() -> (tempfile::TempDir, Key) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::of(folder.path()).expect("a key");
    (folder, key)
}

#[test]
fn round_trip_without_secrets() {
    let (folder, key) = key();
    let plan = bound(&key, vec![differs(PASSWORD), Outcome::Ok]);
    let path = folder.path().join("plan");
    plan.write(&path, &key).expect("written");
    assert_eq!(SavedPlan::read(&path, &key).expect("read"), plan);
    let text = fs::read_to_string(&path).expect("text");
    assert!(
        !text.contains(PASSWORD) && !text.contains(&Sha256::of(PASSWORD.as_bytes()).to_string()),
        "{text}"
    );
}

#[test]
fn invalid_files_are_rejected_with_reason() {
    let (folder, key) = key();
    let path = folder.path().join("plan");
    bound(&key, vec![Outcome::Ok]).write(&path, &key).expect("written");
    let good = fs::read_to_string(&path).expect("text");
    let refused = |text: &str| {
        fs::write(&path, text).expect("a file");
        SavedPlan::read(&path, &key).expect_err("refused")
    };
    let is = |error: &PlanFileError, words: &str| assert!(error.to_string().contains(words), "{error}");
    is(&refused("all:\n  hosts: {}\n"), "is not a saved plan");
    is(&refused(&good[..good.len() / 2]), "is not a saved plan");
    is(&refused(&good.replace("apim-deploy plan", "another thing")), "unknown format `another thing`");
    is(&refused(&good.replace("\"version\": 1,", "\"version\": 2,")), "format version 2, supported is 1");
    is(&refused(&good.replace("\"one\"", "\"another\"")), "its seal does not match");
    is(&refused(&good.replace("\"hosts\"", "\"surprise\": 1, \"hosts\"")), "was modified");
    fs::write(&path, &good).expect("a file");
    let (_folder, other_key) = self::key();
    is(&SavedPlan::read(&path, &other_key).expect_err("refused"), "was not created with the plan key");
    is(&SavedPlan::read(&folder.path().join("none"), &key).expect_err("refused"), "cannot read the plan");
}

#[test]
fn changed_inputs_are_reported() {
    let (_folder, key) = key();
    let then = bound(&key, vec![Outcome::Ok]);
    assert_eq!(basis(&then, &then), Vec::<String>::new());
    let mut now = then.clone();
    now.origin.build = Sha256::of(b"another program");
    now.options.limit = Some("gateway".to_owned());
    now.files = BTreeMap::from([("group_vars/all.yml".to_owned(), Sha256::of(b"new"))]);
    let stale = basis(&then, &now);
    assert_eq!(stale.len(), 4, "{stale:?}");
    assert!(stale[0].starts_with("apim-deploy: the plan was created by 1.0.0"), "{stale:?}");
    assert_eq!(stale[1], "--limit: the plan was created with `none`, now it is `gateway`");
    assert_eq!(stale[2..], ["group_vars/all.yml is new", "i.yaml is missing"]);
    now = then.clone();
    now.options.max_unavailable.push("25 %".to_owned());
    now.options.allow_outage = true;
    now.options.no_drain = false;
    let stale = basis(&then, &now);
    assert_eq!(
        stale,
        [
            "--max-unavailable: the plan was created with `gateway=2`, now it is `gateway=2,25 %`",
            "--allow-outage: the plan was created with `no`, now it is `yes`",
            "--no-drain: the plan was created with `yes`, now it is `no`",
        ]
    );
    now = then.clone();
    now.files.insert("i.yaml".to_owned(), key.digest("file", b"edited"));
    assert_eq!(basis(&then, &now), ["i.yaml has changed"]);
}

#[test]
fn changed_steps_and_secrets_are_reported() {
    let (_folder, key) = key();
    let then = bound(&key, vec![Outcome::Ok]);
    let stale = |steps| since_planned(&then, &plan(steps), &key);
    assert_eq!(stale(vec![step(7, "one", PASSWORD), step(8, "two", "")]), Vec::<String>::new());
    assert_eq!(stale(vec![step(1, "one", "another"), step(2, "two", "")]), ["gw1: one has changed"]);
    assert_eq!(stale(vec![step(1, "one", PASSWORD)]), ["gw1: two is in the plan, but would no longer run"]);
    let third = vec![step(1, "one", PASSWORD), step(2, "two", ""), step(3, "three", "")];
    assert_eq!(stale(third), ["gw1: three is not in the plan"]);
}

#[test]
fn changed_results_are_reported_by_host_and_step() {
    let (_folder, key) = key();
    let then = bound(&key, vec![differs("a"), Outcome::Ok]);
    let plan = plan(vec![step(1, "one", PASSWORD), step(2, "two", "")]);
    let stale = |outcomes, facts: Option<Facts>| {
        let facts = facts.map(|facts| (host(), facts)).into_iter().collect();
        since_seen(&then, &plan, &seen(outcomes), &facts, &key)
    };
    assert_eq!(stale(vec![differs("a"), Outcome::Ok], Some(facts())), Vec::<String>::new());
    let found = stale(vec![differs("b"), differs("c")], Some(facts()));
    assert_eq!(found, ["gw1: one now differs in another way", "gw1: two was up to date, now differs"]);
    let found = stale(vec![Outcome::Ok, Outcome::Failed(Failure::new("x"))], Some(facts()));
    assert_eq!(found, ["gw1: one differed, now up to date", "gw1: two could be checked, now it cannot"]);
    assert_eq!(stale(Vec::new(), None), ["gw1: now unreachable"]);
    let other = Facts { machine: "m2".to_owned(), ..facts() };
    let found = stale(vec![differs("a"), Outcome::Ok], Some(other));
    assert_eq!(found, ["gw1: a different machine answers (gw1)"]);
}
