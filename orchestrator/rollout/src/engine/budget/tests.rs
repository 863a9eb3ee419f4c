//! The ledger by itself.

use super::*;
use crate::plan::model::Allowance;

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
fn a_place_is_given_back_by_proof_of_health_and_not_by_the_end_of_a_lane() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.lane_announced(&host("a"), [node("g1")]);
    ledger.lane_announced(&host("b"), [node("g2")]);
    assert_eq!(granted(&ledger.ask(&host("a"), &node("g1"), "gateway").1), [0]);
    assert_eq!(ledger.ask(&host("b"), &node("g2"), "gateway").1, []);
    assert_eq!(ledger.blocked(), 1);
    assert_eq!(granted(&ledger.proof_over(&host("a"), &node("g1"), true)), [1]);
}

#[test]
fn nobody_waits_for_a_lane_that_is_over() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.lane_announced(&host("a"), [node("g1")]);
    ledger.lane_announced(&host("b"), [node("g2")]);
    ledger.ask(&host("a"), &node("g1"), "gateway");
    ledger.ask(&host("b"), &node("g2"), "gateway");
    let decisions = ledger.lane_over(&host("a"));
    assert_eq!(refused(&decisions), [1]);
    let [(_, Decision::Refused(why))] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!(why, "g2 was not touched, because the rollout stopped: g1 did not become healthy");
}

#[test]
fn a_node_that_is_down_needs_no_second_place() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.found_down(&node("g1"), "gateway", "not healthy");
    assert_eq!(granted(&ledger.ask(&host("a"), &node("g1"), "gateway").1), [0]);
    let (_, decisions) = ledger.ask(&host("b"), &node("g2"), "gateway");
    let [(_, Decision::Refused(why))] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!(
        why,
        "g2 was not touched: one node of gateway may be down at once, and down are g1 (not healthy); \
         nothing that still runs will change that"
    );
}

#[test]
fn a_circle_of_waiting_lanes_is_broken() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.lane_announced(&host("a"), [node("g1"), node("k1")]);
    ledger.lane_announced(&host("b"), [node("g2"), node("k2")]);
    ledger.ask(&host("a"), &node("g1"), "gateway");
    ledger.ask(&host("b"), &node("k2"), "key_manager");
    assert_eq!(ledger.ask(&host("a"), &node("k1"), "key_manager").1, []);
    assert_eq!(refused(&ledger.ask(&host("b"), &node("g2"), "gateway").1), [3], "who asked last");
    assert_eq!(refused(&ledger.lane_over(&host("b"))), [2], "b never gives its place back");
}

#[test]
fn a_lane_that_waits_for_its_own_proof_is_refused() {
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
fn the_first_one_goes_alone_and_then_as_many_as_the_budget_says() {
    let mut ledger = Ledger::new(of_size(5, Allowance::Nodes(2)));
    for (lane, name) in [("a", "g1"), ("b", "g2"), ("c", "g3")] {
        ledger.lane_announced(&host(lane), [node(name)]);
    }
    assert_eq!(granted(&ledger.ask(&host("a"), &node("g1"), "gateway").1), [0]);
    assert_eq!(ledger.ask(&host("b"), &node("g2"), "gateway").1, []);
    assert_eq!(ledger.ask(&host("c"), &node("g3"), "gateway").1, []);
    assert_eq!(granted(&ledger.proof_over(&host("a"), &node("g1"), true)), [1, 2]);
    let standings = ["g1", "g2", "g4"].map(|name| ledger.standing(&node(name)));
    assert_eq!(standings, [Standing::Renewed, Standing::Down("being worked on".into()), Standing::Untouched]);
}

#[test]
fn a_node_that_does_not_come_back_ends_the_rollout_whatever_the_budget() {
    let mut ledger = Ledger::new(of_size(5, Allowance::Nodes(3)));
    for (lane, name) in [("a", "g1"), ("b", "g2"), ("c", "g3")] {
        ledger.lane_announced(&host(lane), [node(name)]);
    }
    ledger.ask(&host("a"), &node("g1"), "gateway");
    ledger.ask(&host("b"), &node("g2"), "gateway");
    let decisions = ledger.proof_over(&host("a"), &node("g1"), false);
    let [(_, Decision::Refused(why))] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!(why, "g2 was not touched, because the rollout stopped: g1 did not become healthy");
    assert_eq!(refused(&ledger.ask(&host("c"), &node("g3"), "gateway").1), [2]);
    assert_eq!(ledger.standing(&node("g1")), Standing::Down("it did not become healthy".into()));
}

#[test]
fn who_accepts_failures_is_not_stopped_by_them() {
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
fn the_last_one_that_serves_stays_unless_an_outage_is_wanted() {
    let mut ledger = Ledger::new(of_size(2, Allowance::Nodes(2)));
    ledger.found_down(&node("g1"), "gateway", "not healthy");
    let (_, decisions) = ledger.ask(&host("b"), &node("g2"), "gateway");
    let [(_, Decision::Refused(why))] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert!(
        why.ends_with("it is the last one that serves: --allow-outage takes it down all the same"),
        "{why}"
    );
    let mut ledger = Ledger::new(Limits { outage: true, ..of_size(2, Allowance::Nodes(1)) });
    ledger.found_down(&node("g1"), "gateway", "not healthy");
    assert_eq!(granted(&ledger.ask(&host("b"), &node("g2"), "gateway").1), [0]);
}

#[test]
fn the_only_node_of_a_pool_may_be_restarted() {
    let mut ledger = Ledger::new(of_size(1, Allowance::Percent(10)));
    assert_eq!(granted(&ledger.ask(&host("a"), &node("g1"), "gateway").1), [0]);
}

#[test]
fn a_node_that_was_not_taken_after_all_gives_its_place_back_and_stops_the_rollout() {
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
fn questions_of_a_lost_link_are_void() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.lane_announced(&host("a"), [node("g1")]);
    ledger.lane_announced(&host("b"), [node("g2")]);
    ledger.ask(&host("a"), &node("g1"), "gateway");
    ledger.ask(&host("b"), &node("g2"), "gateway");
    ledger.withdraw(&host("b"));
    assert_eq!(ledger.blocked(), 0);
    assert_eq!(ledger.proof_over(&host("a"), &node("g1"), true), []);
}
