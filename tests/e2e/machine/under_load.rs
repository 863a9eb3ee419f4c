//! A cluster behind nginx under counted load, and the times at which its nodes were down.

use std::net::SocketAddr;

use apim_tests::load::{Load, Tally, Target, trusting};
use apim_tests::machine::Topology;
use serde_json::json;

use super::{Node, Site};

/// Returns a site behind a load balancer, with certificates that clients can verify.
pub(super) fn load_balanced(topology: &Topology) -> Option<Site> {
    let mut site = Site::up(&topology.clone().behind_balancer())?;
    site.inventory
        .set("load_balancer", json!({"kind": "nginx"}))
        .set(
            "keystores",
            json!({"mode": "issued", "passphrase": "Pass-of-the-pki", "password": "Pass-of-the-stores"}),
        )
        .set(
            "endpoints",
            json!({
                "control_plane": "api.am.wso2.com",
                "key_manager": "km.wso2.com",
                "traffic_manager": "tm.wso2.com",
                "gateway": "gw.wso2.com",
            }),
        );
    Some(site)
}

/// Does `work` under load on gateways and control planes, and asserts that no request fails.
pub(super) fn without_lost_requests(site: &Site, what: &str, work: impl FnOnce()) {
    let load = start_load(site);
    work();
    assert_none_failed(what, &load.end());
}

/// Asserts that requests succeed while the cluster is not changed.
pub(super) fn assert_requests_succeed(site: &Site, what: &str) {
    let load = start_load(site);
    load.await_total(400);
    assert_none_failed(what, &load.end());
}

fn start_load(site: &Site) -> Load {
    let address = site.lab.host("lb").expect("a host").address;
    let authorities = site.operator.folder().join("inventory.pki/ca.crt");
    let target = |name: &str, port: u16, path: &str| Target {
        name: name.to_owned(),
        address: SocketAddr::from((address, port)),
        path: path.to_owned(),
        trust: (port == 443).then(|| trusting(&authorities)),
    };
    Load::on(&[
        target("gw.wso2.com", 80, "/pizza/1.0/menu"),
        target("gw.wso2.com", 443, "/pizza/1.0/menu"),
        target("api.am.wso2.com", 443, "/services/Version"),
    ])
}

fn assert_none_failed(what: &str, tally: &Tally) {
    let (sent, lost) = (tally.sent, tally.failed.len());
    eprintln!(
        "{what}: {sent} requests, {} retried, longest {:.1?}, {lost} failed",
        tally.retried, tally.longest
    );
    assert!(sent > 300, "{what}: only {sent} requests were sent");
    assert!(lost == 0, "{what}: {lost} of {sent} requests failed: {:#?}", &tally.failed[..lost.min(20)]);
}

/// When a node was down last, from the end of its process to its start marker, in microseconds of the
/// monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) host: String,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Returns the last outages of the nodes of a group.
pub(super) fn outages(site: &Site, group: &str) -> Vec<Outage> {
    let nodes = site.nodes().into_iter().filter(|node| node.group == group && site.lab.is_on(&node.host));
    nodes.map(|node| Outage { from: ended(site, &node), to: site.marked(&node), host: node.host }).collect()
}

/// Returns the highest number of nodes that were down at once, of the outages after `since`.
pub(super) fn most_at_once(outages: &[Outage], since: u64) -> usize {
    let recent = || outages.iter().filter(|one| one.from > since);
    recent()
        .map(|one| recent().filter(|other| other.from <= one.from && one.from < other.to).count())
        .max()
        .unwrap_or(0)
}

fn ended(site: &Site, node: &Node) -> u64 {
    let line = format!("systemctl show -P ActiveExitTimestampMonotonic wso2-{}", node.folder);
    site.sh(&node.host, &line).trim().parse().unwrap_or_else(|_| panic!("{}: no end time", node.host))
}
