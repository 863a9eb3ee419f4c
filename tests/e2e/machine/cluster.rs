//! Bare machines become a healthy, highly available cluster, started in order; a second apply changes
//! nothing; no secret leaks.

use std::time::Duration;

use apim_tests::machine::Topology;
use apim_tests::poll::until;
use serde_json::json;

use super::order::Order;
use super::secrets::{assert_no_leak, poison};
use super::{Node, ROLES, SOON, Site};
use crate::{Recap, assert_nothing_changed};

/// Time limits for a first apply of nine machines and for a second, on a machine with two busy
/// processors. Not performance figures.
const FIRST: Duration = Duration::from_secs(240);
const SECOND: Duration = Duration::from_secs(10);

#[test]
fn ha_cluster_starts_in_order_and_second_apply_changes_nothing() {
    let Some(mut site) = Site::up(&Topology::ha().expect("a topology")) else { return };
    let poison = poison(&mut site);

    let mut outputs = String::new();
    let plan = site.run("plan", &["--diff", "-v", "--exit-code"]).ended_with(3);
    outputs.push_str(&plan.text());

    let watch = poison.watch_processes();
    let order = Order::watch(&site);
    let first = site.run_json("apply", &["--diff", "-v"]).ended_with(0);
    order.assert_kept();
    assert_eq!(watch.end(), Vec::<String>::new(), "secrets in the process list");
    assert!(first.took < FIRST, "the first apply took {:?}", first.took);
    outputs.push_str(&first.text());
    let hosts = Recap::of(&first).hosts;
    assert_eq!(hosts.len(), site.lab.hosts().len() - 1, "one entry per host with a node: {hosts:?}");
    assert!(hosts.values().all(|counts| counts.failed == 0 && counts.unreachable == 0), "{hosts:?}");

    assert_started_in_order(&site);
    assert_healthy(&site);

    let starts: Vec<_> = site.nodes().iter().map(|node| site.started(node)).collect();
    let second = site.run_json("apply", &[]).ended_with(0);
    outputs.push_str(&second.text());
    assert!(second.took < SECOND, "the second apply took {:?}", second.took);
    assert_nothing_changed(second);
    assert_eq!(starts, site.nodes().iter().map(|node| site.started(node)).collect::<Vec<_>>());
    outputs.push_str(&site.run("plan", &["--diff", "--exit-code"]).ended_with(0).text());
    outputs.push_str(&site.run("status", &["-v"]).ended_with(0).text());

    assert_no_leak(&site, &poison, &outputs);

    dead_host_stops_rollout(&mut site, &starts);
}

/// The other hosts finish their stage, and no later stage is started.
fn dead_host_stops_rollout(site: &mut Site, starts: &[u64]) {
    site.lab.kill("gw2").expect("gw2 dies");
    site.inventory.set("config", json!({"apim": {"cors": {"allow_origins": "*"}}}));
    let run = site.run_json("apply", &[]).ended_with(1);
    let recap = Recap::of(&run);
    let gateway = &recap.hosts["gw2"];
    assert_eq!((gateway.unreachable, gateway.state.as_str()), (1, "unreachable"), "{recap:?}");
    let stopped = recap.stopped.as_ref().unwrap_or_else(|| panic!("the rollout was not stopped: {recap:?}"));
    assert!(!stopped.title.is_empty() && stopped.why.contains("gw2"), "{stopped:?}");
    let later: Vec<_> = site
        .nodes()
        .iter()
        .filter(|node| node.group == "traffic_manager")
        .map(|node| site.started(node))
        .collect();
    assert_eq!(later, starts[starts.len() - 2..], "nodes of a later stage were restarted");

    site.lab.boot("gw2").expect("gw2 boots");
    site.run("apply", &[]).ended_with(0);
    assert_healthy(site);
    site.assert_up_to_date();
}

/// Each role was started after the start markers of the role before.
fn assert_started_in_order(site: &Site) {
    let nodes = site.nodes();
    let mut healthy_since = 0;
    let mut log = String::new();
    for (group, _) in ROLES {
        let of_role: Vec<&Node> = nodes.iter().filter(|node| node.group == *group).collect();
        let start = of_role.iter().map(|node| site.started(node)).min().expect("nodes of the role");
        log.push_str(&format!("{group}: started at {start}, the role before was up at {healthy_since}\n"));
        assert!(start >= healthy_since, "started too early:\n{log}");
        healthy_since = of_role.iter().map(|node| site.marked(node)).max().expect("nodes of the role");
    }
}

/// Every gateway is healthy and connected to both control planes and both traffic managers.
fn assert_healthy(site: &Site) {
    let address = |name: &str| site.lab.host(name).expect("a host").address;
    for gateway in site.nodes().iter().filter(|node| node.group == "gateway") {
        let health = "curl --silent --insecure --output /dev/null --write-out '%{http_code}' \
                      https://localhost:9443/api/am/gateway/v2/server-startup-healthcheck";
        assert!(until(SOON, || site.sh(&gateway.host, health) == "200"), "{}: not healthy", gateway.host);
        for (peer, port) in
            [("cp1", 5672), ("cp2", 5672), ("tm1", 5672), ("tm2", 5672), ("tm1", 9611), ("tm2", 9611)]
        {
            let connections =
                format!("ss --no-header --tcp --numeric state established dst {}:{port}", address(peer));
            let is_connected = until(SOON, || !site.sh(&gateway.host, &connections).trim().is_empty());
            assert!(is_connected, "{} has no connection to {peer}:{port}", gateway.host);
        }
    }
}
