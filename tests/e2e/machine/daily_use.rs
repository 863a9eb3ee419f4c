//! Daily operation: two operators at once, manual edits, logs and commands, removing and adding a node.

use std::time::Duration;

use apim_tests::cli::Operator;
use apim_tests::machine::Topology;
use apim_tests::poll::until;
use rustix::process::Signal;
use serde_json::json;

use super::under_load::{assert_requests_succeed, load_balanced, without_lost_requests};
use super::{SOON, Site};
use crate::{JSON, assert_nothing_changed};

const TOML: &str = "/opt/wso2/gateway/current/repository/conf/deployment.toml";

#[test]
fn operators_drift_logs_drain_and_scaling() {
    let topology = Topology::of(&[("km", 1), ("gw", 3), ("cp", 1), ("tm", 1)]).expect("a topology");
    let Some(mut site) = load_balanced(&topology) else { return };
    site.inventory.set("endpoints.control_plane", json!({"name": "api.am.wso2.com", "port": 443}));
    site.run("apply", &[]).ended_with(0);
    two_operators(&site);
    drift(&site);
    logs_and_exec(&site);
    drained_nodes_count_in_budget(&site);
    stop_and_start_all(&site);
    remove_and_add_gateway(&mut site);
}

/// The second operator sees the lock of the first, and changes nothing.
fn two_operators(site: &Site) {
    let inventory = site.operator.file("inventory.yaml", &site.inventory.text());
    let path = inventory.to_str().expect("a path");
    let first = site.operator.start(["restart", path, "--role", "gateway"]);
    assert!(until(SOON, || first.output().contains("out of rotation")), "{}", first.output());
    let mut other = Operator::new();
    other.set_variable("USER", "berta");
    let refused = other.run(["apply", path, "--wait-for-lock", "0"]).ended_with(1).text();
    for word in ["operator@", "restart", "inventory.yaml"] {
        assert!(refused.contains(word), "`{word}` is not in: {refused}");
    }
    first.wait(Duration::from_secs(120)).ended_with(0);
    assert_nothing_changed(other.run([&["apply", path], &JSON[..]].concat()));
}

/// Manual edits are shown and overwritten, and only the edited node is restarted.
fn drift(site: &Site) {
    let starts = || -> Vec<u64> { gateways().map(|host| start(site, host)).to_vec() };
    let before = starts();
    let expected = site.sh("gw2", &format!("cat {TOML}"));
    site.sh(
        "gw2",
        &format!("sed -i 's/^offset = .*//; s/^allow_credentials = .*/allow_credentials = true/' {TOML}"),
    );
    site.sh("gw2", "systemctl restart wso2-gateway");
    assert!(until(SOON, || start(site, "gw2") > before[1]), "gw2 was not restarted manually");
    let edited = starts();
    let shown = site.run("diff", &[]).ended_with(3).text();
    assert!(shown.contains("gw2") && shown.contains("allow_credentials"), "{shown}");
    site.run("status", &[]);
    without_lost_requests(site, "drift is repaired", || drop(site.run("apply", &[]).ended_with(0)));
    assert_eq!(site.sh("gw2", &format!("cat {TOML}")), expected);
    let after = starts();
    assert!(after[1] > edited[1], "gw2 still runs with the edited file");
    assert!(
        after[0] == edited[0] && after[2] == edited[2],
        "other nodes were restarted: {edited:?}, {after:?}"
    );
    site.run("diff", &[]).ended_with(0);
    site.run("status", &[]).ended_with(0);
}

fn logs_and_exec(site: &Site) {
    let unit = site.run("logs", &["gw1", "--file", "unit", "-n", "5"]).ended_with(0);
    assert!(unit.stdout.contains("gw1") && unit.stdout.contains("Started"), "{}", unit.text());
    let root = site.run("exec", &["gateway", "--", "id", "-un"]).ended_with(0);
    assert!(root.stdout.contains("gw[1:3]") && root.stdout.contains("root"), "{}", root.text());
    let own = site.run("exec", &["gateway", "--no-become", "--", "id", "-un"]).ended_with(0);
    assert!(own.stdout.contains(apim_tests::machine::DEPLOY), "{}", own.text());
    let journal = site
        .run("exec", &["gw1", "--read-only", "--", "grep", "-c", "id", "/var/lib/apim-deploy/journal.jsonl"]);
    journal.ended_with(0);
}

/// Drained nodes count as down: no further node is taken down, and they are restarted first.
fn drained_nodes_count_in_budget(site: &Site) {
    without_lost_requests(site, "drained manually", || {
        for host in ["gw1", "gw2"] {
            site.run("drain", &[host]).ended_with(0);
        }
        let last = site.run("drain", &["gw3"]).ended_with(1).text();
        assert!(last.contains("this would leave no gateway in service"), "{last}");
        for verb in ["restart", "stop"] {
            let refused = site.run(verb, &["--limit", "gw3"]).ended_with(1).text();
            assert!(
                refused.contains("gw3 was not touched") && refused.contains("drained on lb"),
                "{refused}"
            );
        }
        site.run("restart", &["--role", "gateway"]).ended_with(0);
    });
    without_lost_requests(site, "killed while a node was drained, and restarted", || {
        let inventory = site.operator.file("inventory.yaml", &site.inventory.text());
        let run = site.operator.start(["restart", inventory.to_str().expect("a path"), "--role", "gateway"]);
        assert!(until(SOON, || run.output().contains("is out of rotation")), "{}", run.output());
        run.signal(Signal::KILL);
        assert_eq!(run.wait(SOON).code, 137);
        site.run("restart", &["--role", "gateway"]).ended_with(0);
    });
}

/// Stopped nodes receive requests again after they were started.
fn stop_and_start_all(site: &Site) {
    site.run("stop", &["--role", "gateway", "--allow-outage"]).ended_with(0);
    site.run("start", &["--role", "gateway"]).ended_with(0);
    assert_requests_succeed(site, "stopped and started");
    assert_nothing_changed(site.run_json("start", &["--role", "gateway"]));
}

/// A gateway is removed under load, nothing of it remains, and it is installed again.
fn remove_and_add_gateway(site: &mut Site) {
    let before =
        site.sh("gw3", "getent passwd wso2carbon >/dev/null && ls /etc/systemd/system/wso2-gateway.service");
    assert!(before.contains("wso2-gateway"), "{before}");
    without_lost_requests(site, "a gateway is removed", || {
        drop(site.run("remove", &["gw3", "--yes"]).ended_with(0))
    });
    for gone in ["/opt/wso2", "/etc/systemd/system/wso2-gateway.service"] {
        site.sh("gw3", &format!("test ! -e {gone} || {{ find {gone} >&2; exit 1; }}"));
    }
    site.sh("gw3", "! getent passwd wso2carbon && ! systemctl cat wso2-gateway 2>/dev/null");
    assert_eq!(site.sh("gw3", "ss --no-header --listening --tcp --numeric 'sport = :8280'").trim(), "");
    let known = "grep -rl gw3 /etc/nginx /etc/hosts || true";
    assert_eq!(site.sh("lb", known).trim(), "", "the load balancer still refers to gw3");
    assert_eq!(site.sh("cp1", "grep -c gw3 /etc/hosts || true").trim(), "0");
    assert_nothing_changed(site.run_json("remove", &["gw3", "--yes"]));

    // A single gateway keeps the endpoint name of the role.
    let whole = site.inventory.clone();
    site.inventory.without("gw3");
    without_lost_requests(site, "the last but one is removed", || {
        drop(site.run("remove", &["gw2", "--yes"]).ended_with(0))
    });
    site.inventory.without("gw2");
    without_lost_requests(site, "a single gateway", || site.assert_up_to_date());

    site.inventory = whole;
    without_lost_requests(site, "gateways are added", || drop(site.run("apply", &[]).ended_with(0)));
    assert!(!site.sh("lb", known).trim().is_empty(), "the load balancer does not refer to gw3");
    site.run("status", &[]).ended_with(0);
    site.assert_up_to_date();
}

fn gateways() -> [&'static str; 3] {
    ["gw1", "gw2", "gw3"]
}

fn start(site: &Site, host: &str) -> u64 {
    site.sh(host, "systemctl show -P ExecMainStartTimestampMonotonic wso2-gateway")
        .trim()
        .parse()
        .unwrap_or(0)
}
