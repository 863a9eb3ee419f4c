//! Unit tests of the ledger.

use super::*;
use apim_product::availability::Allowance;

fn host(name: &str) -> HostName {
    HostName(name.to_owned())
}

fn node(name: &str) -> NodeName {
    NodeName(name.to_owned())
}

fn granted(decisions: &[(Ticket, Decision)]) -> Vec<u64> {
    decisions.iter().filter(|(_, d)| *d == Decision::Granted).map(|(ticket, _)| ticket.0).collect()
}

fn refused(decisions: &[(Ticket, Decision)]) -> Vec<u64> {
    decisions.iter().filter(|(_, d)| matches!(d, Decision::Refused(_))).map(|(ticket, _)| ticket.0).collect()
}

#[test]
fn permit_returns_with_health_check_not_with_lane_end() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.lane_announced(&host("a"), [node("g1")]);
    ledger.lane_announced(&host("b"), [node("g2")]);
    assert_eq!(granted(&ledger.ask(&host("a"), &node("g1"), "gateway").1), [0]);
    assert_eq!(ledger.ask(&host("b"), &node("g2"), "gateway").1, []);
    assert_eq!(ledger.blocked(), 1);
    assert_eq!(granted(&ledger.proof_over(&host("a"), &node("g1"), true)), [1]);
}

#[test]
fn requests_waiting_for_an_ended_lane_are_refused() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.lane_announced(&host("a"), [node("g1")]);
    ledger.lane_announced(&host("b"), [node("g2")]);
    ledger.ask(&host("a"), &node("g1"), "gateway");
    ledger.ask(&host("b"), &node("g2"), "gateway");
    let decisions = ledger.lane_over(&host("a"));
    assert_eq!(refused(&decisions), [1]);
    let [(_, Decision::Refused(why))] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!(why, "g2 was not touched, because the rollout was halted: g1 did not become healthy");
}

#[test]
fn node_that_is_down_needs_no_second_permit() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.mark_down(&node("g1"), "gateway", "not healthy");
    assert_eq!(granted(&ledger.ask(&host("a"), &node("g1"), "gateway").1), [0]);
    let (_, decisions) = ledger.ask(&host("b"), &node("g2"), "gateway");
    let [(_, Decision::Refused(why))] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!(
        why,
        "g2 was not touched: one node of gateway may be down at once; already down: g1 (not healthy)"
    );
}

#[test]
fn deadlock_of_waiting_lanes_is_broken() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.lane_announced(&host("a"), [node("g1"), node("k1")]);
    ledger.lane_announced(&host("b"), [node("g2"), node("k2")]);
    ledger.ask(&host("a"), &node("g1"), "gateway");
    ledger.ask(&host("b"), &node("k2"), "key_manager");
    assert_eq!(ledger.ask(&host("a"), &node("k1"), "key_manager").1, []);
    assert_eq!(refused(&ledger.ask(&host("b"), &node("g2"), "gateway").1), [3], "the latest request");
    assert_eq!(refused(&ledger.lane_over(&host("b"))), [2], "b never returns its permit");
}

#[test]
fn lane_waiting_for_its_own_health_check_is_refused() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.lane_announced(&host("a"), [node("g1"), node("g2")]);
    ledger.ask(&host("a"), &node("g1"), "gateway");
    assert_eq!(refused(&ledger.ask(&host("a"), &node("g2"), "gateway").1), [1]);
}

fn of_size(size: usize, allowance: Allowance) -> Limits {
    let sizes = BTreeMap::from([("gateway".to_owned(), size)]);
    Limits { default: allowance, sizes, ..Limits::default() }
}

#[test]
fn canary_goes_first_then_budget_applies() {
    let mut ledger = Ledger::new(of_size(5, Allowance::Nodes(2)));
    for (lane, name) in [("a", "g1"), ("b", "g2"), ("c", "g3")] {
        ledger.lane_announced(&host(lane), [node(name)]);
    }
    assert_eq!(granted(&ledger.ask(&host("a"), &node("g1"), "gateway").1), [0]);
    assert_eq!(ledger.ask(&host("b"), &node("g2"), "gateway").1, []);
    assert_eq!(ledger.ask(&host("c"), &node("g3"), "gateway").1, []);
    assert_eq!(granted(&ledger.proof_over(&host("a"), &node("g1"), true)), [1, 2]);
    let standings = ["g1", "g2", "g4"].map(|name| ledger.standing(&node(name)));
    assert_eq!(standings, [Standing::Renewed, Standing::Down("in progress".into()), Standing::Untouched]);
}

#[test]
fn failed_node_halts_rollout() {
    let mut ledger = Ledger::new(of_size(5, Allowance::Nodes(3)));
    for (lane, name) in [("a", "g1"), ("b", "g2"), ("c", "g3")] {
        ledger.lane_announced(&host(lane), [node(name)]);
    }
    ledger.ask(&host("a"), &node("g1"), "gateway");
    ledger.ask(&host("b"), &node("g2"), "gateway");
    let decisions = ledger.proof_over(&host("a"), &node("g1"), false);
    let [(_, Decision::Refused(why))] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!(why, "g2 was not touched, because the rollout was halted: g1 did not become healthy");
    assert_eq!(refused(&ledger.ask(&host("c"), &node("g3"), "gateway").1), [2]);
    assert_eq!(ledger.standing(&node("g1")), Standing::Down("did not become healthy".into()));
}

#[test]
fn tolerant_stage_continues_after_failed_node() {
    let mut ledger = Ledger::new(of_size(5, Allowance::Nodes(2)));
    ledger.stage_begins(true);
    ledger.lane_announced(&host("a"), [node("g1")]);
    ledger.lane_announced(&host("b"), [node("g2")]);
    ledger.ask(&host("a"), &node("g1"), "gateway");
    ledger.proof_over(&host("a"), &node("g1"), true);
    ledger.lane_announced(&host("a"), [node("g1")]);
    ledger.ask(&host("a"), &node("g1"), "gateway");
    ledger.proof_over(&host("a"), &node("g1"), false);
    assert_eq!(granted(&ledger.ask(&host("b"), &node("g2"), "gateway").1), [2]);
}

#[test]
fn last_healthy_node_requires_allow_outage() {
    let mut ledger = Ledger::new(of_size(2, Allowance::Nodes(2)));
    ledger.mark_down(&node("g1"), "gateway", "not healthy");
    let (_, decisions) = ledger.ask(&host("b"), &node("g2"), "gateway");
    let [(_, Decision::Refused(why))] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert!(why.ends_with("it is the last healthy node (--allow-outage overrides this)"), "{why}");
    let mut ledger = Ledger::new(Limits { outage: true, ..of_size(2, Allowance::Nodes(1)) });
    ledger.mark_down(&node("g1"), "gateway", "not healthy");
    assert_eq!(granted(&ledger.ask(&host("b"), &node("g2"), "gateway").1), [0]);
}

#[test]
fn only_node_of_pool_may_restart() {
    let mut ledger = Ledger::new(of_size(1, Allowance::Percent(10)));
    assert_eq!(granted(&ledger.ask(&host("a"), &node("g1"), "gateway").1), [0]);
}

#[test]
fn node_not_taken_down_returns_permit_and_halts_rollout() {
    let mut ledger = Ledger::new(of_size(3, Allowance::Nodes(1)));
    ledger.lane_announced(&host("a"), [node("g1")]);
    ledger.lane_announced(&host("b"), [node("g2")]);
    ledger.ask(&host("a"), &node("g1"), "gateway");
    ledger.ask(&host("b"), &node("g2"), "gateway");
    let decisions = ledger.not_taken(&node("g1"), "the balancer did not answer");
    assert_eq!(refused(&decisions), [1]);
    assert!(!ledger.is_down(&node("g1")));
}

#[test]
fn requests_of_lost_link_are_void() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.lane_announced(&host("a"), [node("g1")]);
    ledger.lane_announced(&host("b"), [node("g2")]);
    ledger.ask(&host("a"), &node("g1"), "gateway");
    ledger.ask(&host("b"), &node("g2"), "gateway");
    ledger.withdraw(&host("b"));
    assert_eq!(ledger.blocked(), 0);
    assert_eq!(ledger.proof_over(&host("a"), &node("g1"), true), []);
}
