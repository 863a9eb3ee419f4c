//! Reports of release changes, one node per result.

use std::collections::BTreeMap;

use apim_protocol::operation::revert::Revert;
use apim_protocol::operation::unit::{ProcessMatch, State, Unit};
use apim_protocol::outcome::{Change, ReleaseChange};
use apim_protocol::value::UnitName;

use super::*;
use crate::report::releases;

const OLD: &str = "4.5.0-0a1b2c3d";
const NEW: &str = "4.6.0-9f8e7d6c";

fn moved(from: &str, to: &str) -> ReleaseChange {
    ReleaseChange { from: from.into(), to: to.into() }
}

fn path(text: &str) -> AbsPath {
    AbsPath::parse(text).unwrap()
}

fn starts(id: u32, node: &str) -> Step {
    let unit = Unit {
        name: UnitName::parse("wso2-gateway").unwrap(),
        file: None,
        enabled: None,
        state: State::Started,
        inputs: BTreeMap::new(),
        watch: Vec::new(),
        log: None,
        ready: None,
        process: ProcessMatch::default(),
        stop_timeout_secs: 60,
        ask: true,
        script: None,
        release: None,
    };
    Step { work: Operation::Unit(Box::new(unit)).into(), ..step(id, node, "runs") }
}

fn rolls_back(id: u32, node: &str) -> Step {
    let revert = Revert {
        unit: UnitName::parse("wso2-gateway").unwrap(),
        releases: path("/opt/releases"),
        link: path("/opt/current"),
        to: None,
        unless: Some(apim_protocol::operation::revert::Proved::Up),
        process: ProcessMatch::default(),
        stop_timeout_secs: 60,
        ask: false,
    };
    Step { work: Operation::Revert(Box::new(revert)).into(), ..step(id, node, "rolled back") }
}

fn proves(id: u32, node: &str) -> Step {
    Step { proves_health: true, ..step(id, node, "started") }
}

/// Outcomes of the four steps of a node: start, health check, rollback, health check of the
/// rollback.
type Outcomes = [Option<Outcome>; 4];

fn run(nodes: &[(&str, Outcomes)]) -> (Plan, RunResult) {
    let (mut lanes, mut result) = (Vec::new(), RunResult::default());
    for ((node, outcomes), id) in nodes.iter().zip((1..).step_by(4)) {
        let rescue = vec![rolls_back(id + 2, node), proves(id + 3, node)];
        let proof = Step { rescue, ..proves(id + 1, node) };
        lanes.push(Lane { host: host(node), steps: vec![starts(id, node), proof] });
        result.moves.insert(StepId(id), moved(OLD, NEW));
        for (outcome, at) in outcomes.iter().zip(id..) {
            result.outcomes.extend(outcome.clone().map(|outcome| (StepId(at), outcome)));
        }
    }
    let stage = Stage { title: "gateways".into(), lanes, width: None, on_failure: OnFailure::StopAtBarrier };
    (Plan { stages: vec![stage], ..Plan::default() }, result)
}

fn went(from: &str, to: &str) -> Option<Outcome> {
    let restart = Change::Restart { reasons: vec!["release".to_owned()] };
    Some(Outcome::Changed(Difference::of([moved(from, to).into(), restart])))
}

fn failed(what: &str) -> Option<Outcome> {
    Some(Outcome::Failed(Failure::new(what)))
}

const OK: Option<Outcome> = Some(Outcome::Ok);

#[test]
fn every_result_of_a_release_change_is_reported() {
    let nodes = [
        ("gw1", [went(OLD, NEW), OK, None, None]),
        ("gw2", [OK, OK, None, None]),
        ("gw3", [failed("the disk is full"), None, None, None]),
        ("gw4", [None, None, None, None]),
        ("gw5", [went(OLD, NEW), None, None, None]),
        ("gw6", [went(OLD, NEW), failed("no"), went(NEW, OLD), OK]),
        ("gw7", [went(OLD, NEW), failed("no"), went(NEW, OLD), failed("no")]),
        ("gw8", [went(OLD, NEW), failed("no"), failed("the previous release was deleted"), None]),
        ("gw9", [went(OLD, NEW), failed("no"), Some(Outcome::Skipped("none".into())), None]),
    ];
    let (plan, result) = run(&nodes);
    let objects: String =
        releases::json(&plan, &result, &titles()).iter().map(|object| format!("{object}\n")).collect();
    let text = releases::text(&plan, &result, &titles(), Style::plain());
    insta::assert_snapshot!(format!("{text}{objects}\n{}", releases::restarts(&plan, &result, &titles())));
}

#[test]
fn no_table_when_every_release_change_succeeds() {
    let (plan, result) = run(&[("gw1", [went(OLD, NEW), OK, None, None])]);
    assert_eq!(releases::text(&plan, &result, &titles(), Style::plain()), "");
    assert_eq!(
        releases::restarts(&plan, &result, &titles()),
        format!("restarted gateway gw1: release {OLD} -> {NEW}; release\n")
    );
}
