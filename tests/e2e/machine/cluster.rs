//! The main job: bare machines become a healthy, highly available cluster, in order; again changes nothing; and no secret gets out.

use std::time::Duration;

use apim_tests::machine::Topology;
use apim_tests::poll::until;
use serde_json::json;

use super::order::Order;
use super::poisoned::{nothing_leaked, poison};
use super::{Node, ROLES, SOON, Site};
use crate::{changed, recap};

/// What a first apply of nine machines may take, and a second, on a machine with two busy processors; figures are for benchmarks.
const FIRST: Duration = Duration::from_secs(240);
const SECOND: Duration = Duration::from_secs(10);

#[test]
fn the_documented_cluster_comes_up_healthy_in_order_and_a_second_apply_changes_nothing() {
    let Some(mut site) = Site::up(&Topology::ha().expect("a topology")) else { return };
    let poison = poison(&mut site);

    let mut outputs = String::new();
    let plan = site.run("plan", &["--diff", "-v", "--exit-code"]).ended_with(3);
    outputs.push_str(&plan.text());

    let watch = poison.watch_processes();
    let order = Order::watch(&site);
    let first = site.run("apply", &["--diff", "-v"]).ended_with(0);
    order.kept();
    assert_eq!(watch.end(), Vec::<String>::new(), "secrets in the process list");
    assert!(first.took < FIRST, "the first apply took {:?}", first.took);
    outputs.push_str(&first.text());
    let counts = recap(&first);
    assert_eq!(counts.len(), site.lab.hosts().len() - 1, "a row per host with a node: {counts:?}");
    assert!(counts.values().all(|count| count["failed"] == 0 && count["unreachable"] == 0), "{counts:?}");

    started_in_order(&site);
    stands(&site);

    let starts: Vec<_> = site.nodes().iter().map(|node| site.started(node)).collect();
    let second = site.run("apply", &[]).ended_with(0);
    assert_eq!(changed(&second), 0, "{}", second.text());
    assert!(second.took < SECOND, "the second apply took {:?}", second.took);
    assert_eq!(starts, site.nodes().iter().map(|node| site.started(node)).collect::<Vec<_>>());
    outputs.push_str(&second.text());
    outputs.push_str(&site.run("plan", &["--diff", "--exit-code"]).ended_with(0).text());
    outputs.push_str(&site.run("status", &["-v"]).ended_with(0).text());

    nothing_leaked(&site, &poison, &outputs);

    // A dead machine: the others finish their stage, nobody goes on behind the barrier, and everybody is told.
    site.lab.kill("gw2").expect("gw2 dies");
    site.inventory.set("config", json!({"apim": {"cors": {"allow_origins": "*"}}}));
    let third = site.run("apply", &[]).ended_with(1);
    let counts = recap(&third);
    assert_eq!(counts["gw2"]["unreachable"], 1, "{counts:?}");
    assert!(third.text().contains("gw2"), "{}", third.text());
    let later: Vec<_> = site
        .nodes()
        .iter()
        .filter(|node| node.group == "traffic_manager")
        .map(|node| site.started(node))
        .collect();
    assert_eq!(later, starts[starts.len() - 2..], "nodes behind the barrier were restarted");

    site.lab.boot("gw2").expect("gw2 boots");
    site.run("apply", &[]).ended_with(0);
    stands(&site);
    assert_eq!(changed(&site.run("apply", &[]).ended_with(0)), 0);
}

/// Each role was started after the role before it had said that it was.
fn started_in_order(site: &Site) {
    let nodes = site.nodes();
    let mut healthy_since = 0;
    let mut story = String::new();
    for (group, _) in ROLES {
        let of_role: Vec<&Node> = nodes.iter().filter(|node| node.group == *group).collect();
        let begun = of_role.iter().map(|node| site.started(node)).min().expect("nodes of the role");
        story.push_str(&format!("{group}: started at {begun}, the role before was up at {healthy_since}\n"));
        assert!(begun >= healthy_since, "started too early:\n{story}");
        healthy_since = of_role.iter().map(|node| site.marked(node)).max().expect("nodes of the role");
    }
}

/// Every gateway has its APIs and hears from both control planes and both traffic managers.
fn stands(site: &Site) {
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
            let stands = until(SOON, || !site.sh(&gateway.host, &connections).trim().is_empty());
            assert!(stands, "{} has no connection to {peer}:{port}", gateway.host);
        }
    }
}
