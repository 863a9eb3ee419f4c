//! A cluster behind nginx and under counted load, and when its nodes were down.

use std::net::SocketAddr;

use apim_tests::load::{Load, Target, trusting};
use apim_tests::machine::Topology;
use serde_json::json;

use super::{Node, Site};

/// Returns a site behind a load balancer, with certificates that its clients can verify.
pub(super) fn balanced(topology: &Topology) -> Option<Site> {
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

/// Does `work` under load on gateways and control planes, of which nothing may be lost.
pub(super) fn unnoticed(site: &Site, what: &str, work: impl FnOnce()) {
    let address = site.lab.host("lb").expect("a host").address;
    let authorities = site.operator.folder().join("inventory.pki/ca.crt");
    let target = |name: &str, port: u16, path: &str| Target {
        name: name.to_owned(),
        address: SocketAddr::from((address, port)),
        path: path.to_owned(),
        trust: (port == 443).then(|| trusting(&authorities)),
    };
    let load = Load::on(&[
        target("gw.wso2.com", 80, "/pizza/1.0/menu"),
        target("gw.wso2.com", 443, "/pizza/1.0/menu"),
        target("api.am.wso2.com", 443, "/services/Version"),
    ]);
    work();
    let tally = load.end();
    let (sent, lost) = (tally.sent, tally.failed.len());
    eprintln!(
        "{what}: {sent} requests, {} sent again, longest {:.1?}, {lost} lost",
        tally.resent, tally.longest
    );
    assert!(sent > 300, "{what}: only {sent} requests were made");
    assert!(lost == 0, "{what}: {lost} of {sent} requests were lost: {:#?}", &tally.failed[..lost.min(20)]);
}

/// From when to when a node was down last, in microseconds of the machine's clock: its end, and its word that it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) host: String,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Returns when the nodes of a group were down last.
pub(super) fn outages(site: &Site, group: &str) -> Vec<Outage> {
    let nodes = site.nodes().into_iter().filter(|node| node.group == group && site.lab.is_on(&node.host));
    nodes.map(|node| Outage { from: ended(site, &node), to: site.marked(&node), host: node.host }).collect()
}

/// Returns how many of them were down at once at most, of those that went down after `since`.
pub(super) fn most_at_once(outages: &[Outage], since: u64) -> usize {
    let recent = || outages.iter().filter(|one| one.from > since);
    recent()
        .map(|one| recent().filter(|other| other.from <= one.from && one.from < other.to).count())
        .max()
        .unwrap_or(0)
}

fn ended(site: &Site, node: &Node) -> u64 {
    let line = format!("systemctl show -P ActiveExitTimestampMonotonic wso2-{}", node.folder);
    site.sh(&node.host, &line).trim().parse().unwrap_or_else(|_| panic!("{}: no time of its end", node.host))
}
