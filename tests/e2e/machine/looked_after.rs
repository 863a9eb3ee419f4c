//! Day after day: two operators at once, a file edited by hand, a look at logs and accounts, a node that leaves and comes back.

use std::time::Duration;

use apim_tests::cli::Operator;
use apim_tests::machine::Topology;
use apim_tests::poll::until;
use rustix::process::Signal;
use serde_json::json;

use super::balanced::{balanced, unnoticed};
use super::{SOON, Site};
use crate::changed;

const TOML: &str = "/opt/wso2/gateway/current/repository/conf/deployment.toml";

#[test]
fn two_operators_drift_looks_and_a_gateway_that_leaves_and_comes_back() {
    let topology = Topology::of(&[("km", 1), ("gw", 3), ("cp", 1), ("tm", 1)]).expect("a topology");
    let Some(mut site) = balanced(&topology) else { return };
    site.inventory.set("endpoints.control_plane", json!({"name": "api.am.wso2.com", "port": 443}));
    site.run("apply", &[]).ended_with(0);
    two_operators(&site);
    drift(&site);
    looks(&site);
    who_is_drained_counts(&site);
    all_are_stopped_and_started(&site);
    leaves_and_comes_back(&mut site);
}

/// The second one is told who is at work, and changes nothing.
fn two_operators(site: &Site) {
    let inventory = site.operator.file("inventory.yaml", &site.inventory.text());
    let path = inventory.to_str().expect("a path");
    let first = site.operator.start(["restart", path, "--role", "gateway"]);
    assert!(until(SOON, || first.said().contains("out of rotation")), "{}", first.said());
    let mut other = Operator::new();
    other.set_variable("USER", "berta");
    let refused = other.run(["apply", path, "--wait-for-lock", "0"]).ended_with(1).text();
    for word in ["operator@", "restart", "inventory.yaml"] {
        assert!(refused.contains(word), "`{word}` is not told: {refused}");
    }
    first.wait(Duration::from_secs(120)).ended_with(0);
    assert_eq!(changed(&other.run(["apply", path]).ended_with(0)), 0);
}

/// What somebody changed on a host is shown, put right, and only that node is restarted.
fn drift(site: &Site) {
    let starts = || -> Vec<u64> { gateways().map(|host| start(site, host)).to_vec() };
    let before = starts();
    let wished = site.sh("gw2", &format!("cat {TOML}"));
    site.sh(
        "gw2",
        &format!("sed -i 's/^offset = .*//; s/^allow_credentials = .*/allow_credentials = true/' {TOML}"),
    );
    site.sh("gw2", "systemctl restart wso2-gateway");
    assert!(until(SOON, || start(site, "gw2") > before[1]), "it was not restarted by hand");
    let edited = starts();
    let shown = site.run("diff", &[]).ended_with(3).text();
    assert!(shown.contains("gw2") && shown.contains("allow_credentials"), "{shown}");
    site.run("status", &[]);
    unnoticed(site, "drift put right", || drop(site.run("apply", &[]).ended_with(0)));
    assert_eq!(site.sh("gw2", &format!("cat {TOML}")), wished);
    let after = starts();
    assert!(after[1] > edited[1], "it still runs with the edited file");
    assert!(after[0] == edited[0] && after[2] == edited[2], "others were restarted: {edited:?}, {after:?}");
    site.run("diff", &[]).ended_with(0);
    site.run("status", &[]).ended_with(0);
}

fn looks(site: &Site) {
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

/// Who is sent nobody does not serve: nobody else goes in its place, and it goes first.
fn who_is_drained_counts(site: &Site) {
    unnoticed(site, "drained by hand", || {
        for host in ["gw1", "gw2"] {
            site.run("drain", &[host]).ended_with(0);
        }
        let last = site.run("drain", &["gw3"]).ended_with(1).text();
        assert!(last.contains("nobody of gateway who serves would be left"), "{last}");
        for verb in ["restart", "stop"] {
            let refused = site.run(verb, &["--limit", "gw3"]).ended_with(1).text();
            assert!(
                refused.contains("gw3 was not touched") && refused.contains("sends it nobody"),
                "{refused}"
            );
        }
        site.run("restart", &["--role", "gateway"]).ended_with(0);
    });
    unnoticed(site, "killed while one was out, and again", || {
        let inventory = site.operator.file("inventory.yaml", &site.inventory.text());
        let run = site.operator.start(["restart", inventory.to_str().expect("a path"), "--role", "gateway"]);
        assert!(until(SOON, || run.said().contains("is out of rotation")), "{}", run.said());
        run.signal(Signal::KILL);
        assert_eq!(run.wait(SOON).code, 137);
        site.run("restart", &["--role", "gateway"]).ended_with(0);
    });
}

/// Who was stopped is sent requests again when it was started.
fn all_are_stopped_and_started(site: &Site) {
    site.run("stop", &["--role", "gateway", "--allow-outage"]).ended_with(0);
    site.run("start", &["--role", "gateway"]).ended_with(0);
    unnoticed(site, "stopped and started", || std::thread::sleep(Duration::from_secs(2)));
    assert_eq!(changed(&site.run("start", &["--role", "gateway"]).ended_with(0)), 0);
}

/// A gateway is removed under load, nothing of it is left, and it is installed again.
fn leaves_and_comes_back(site: &mut Site) {
    let before =
        site.sh("gw3", "getent passwd wso2carbon >/dev/null && ls /etc/systemd/system/wso2-gateway.service");
    assert!(before.contains("wso2-gateway"), "{before}");
    unnoticed(site, "a gateway leaves", || drop(site.run("remove", &["gw3", "--yes"]).ended_with(0)));
    for gone in ["/opt/wso2", "/etc/systemd/system/wso2-gateway.service"] {
        site.sh("gw3", &format!("test ! -e {gone} || {{ find {gone} >&2; exit 1; }}"));
    }
    site.sh("gw3", "! getent passwd wso2carbon && ! systemctl cat wso2-gateway 2>/dev/null");
    assert_eq!(site.sh("gw3", "ss --no-header --listening --tcp --numeric 'sport = :8280'").trim(), "");
    let known = "grep -rl gw3 /etc/nginx /etc/hosts || true";
    assert_eq!(site.sh("lb", known).trim(), "", "the load balancer still knows it");
    assert_eq!(site.sh("cp1", "grep -c gw3 /etc/hosts || true").trim(), "0");
    let again = site.run("remove", &["gw3", "--yes"]).ended_with(0);
    assert_eq!(changed(&again), 0, "{}", again.text());

    // One alone keeps the name by which all were reached.
    let whole = site.inventory.clone();
    site.inventory.without("gw3");
    unnoticed(site, "the last but one leaves", || drop(site.run("remove", &["gw2", "--yes"]).ended_with(0)));
    site.inventory.without("gw2");
    unnoticed(site, "one alone", || assert_eq!(changed(&site.run("apply", &[]).ended_with(0)), 0));

    site.inventory = whole;
    unnoticed(site, "gateways come back", || drop(site.run("apply", &[]).ended_with(0)));
    assert!(!site.sh("lb", known).trim().is_empty(), "the load balancer does not know it");
    site.run("status", &[]).ended_with(0);
    assert_eq!(changed(&site.run("apply", &[]).ended_with(0)), 0);
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
