//! The ledger by itself.

use super::*;

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
    assert_eq!(
        why,
        "g2 was not touched: one node of gateway may be down at once, and down are g1 (being worked on); \
         nothing that still runs will change that"
    );
}

#[test]
fn a_node_that_is_down_needs_no_second_place() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.found_down(&node("g1"), "gateway", "not healthy");
    assert_eq!(granted(&ledger.ask(&host("a"), &node("g1"), "gateway").1), [0]);
    assert_eq!(refused(&ledger.ask(&host("b"), &node("g2"), "gateway").1), [1]);
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
