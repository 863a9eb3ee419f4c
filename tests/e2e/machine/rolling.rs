//! Nobody notices: under constant load through the load balancer nodes are restarted, configured and upgraded, and no request is lost.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use apim_tests::load::{Load, Target, trusting};
use apim_tests::machine::Topology;
use apim_tests::poll::until;
use rustix::process::Signal;
use serde_json::json;

use super::Site;
use crate::changed;

/// The new release of a gateway.
const RELEASES: &str = "/opt/wso2/gateway/releases/4.6.0-*";

fn site() -> Option<Site> {
    let mut site = Site::up(&Topology::ha().expect("a topology").behind_balancer())?;
    site.inventory
        .release("4.5.0")
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
fn unnoticed(site: &Site, what: &str, work: impl FnOnce()) {
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

fn starts(site: &Site, group: &str) -> Vec<u64> {
    let nodes = site.nodes().into_iter().filter(|node| node.group == group);
    nodes.map(|node| site.started(&node)).collect()
}

fn release_of(site: &Site, host: &str) -> String {
    site.sh(host, "readlink /opt/wso2/*/current")
}

#[test]
fn restarts_changes_and_upgrades_lose_no_request() {
    let Some(mut site) = site() else { return };
    site.run("apply", &[]).ended_with(0);

    let before = [starts(&site, "gateway"), starts(&site, "control_plane")].concat();
    unnoticed(&site, "restart", || {
        site.run("restart", &["--role", "gateway", "--role", "control_plane"]).ended_with(0);
    });
    let after = [starts(&site, "gateway"), starts(&site, "control_plane")].concat();
    assert!(before.iter().zip(&after).all(|(before, after)| before < after), "{before:?}, {after:?}");

    site.inventory.set("gateway.heap", json!("384m")).set("control_plane.heap", json!("384m"));
    unnoticed(&site, "configuration", || assert!(changed(&site.run("apply", &[]).ended_with(0)) > 0));
    let changed_at = [starts(&site, "gateway"), starts(&site, "control_plane")].concat();
    assert!(after.iter().zip(&changed_at).all(|(before, after)| before < after), "{after:?}, {changed_at:?}");

    site.inventory.release("4.6.0");
    unnoticed(&site, "a release that does not become healthy", || a_bad_release_goes_back(&site));
    unnoticed(&site, "upgrade", || {
        for moment in [4, 9] {
            dies_in_the_middle(&site, Duration::from_secs(moment));
        }
        site.run("upgrade", &["--yes"]).ended_with(0);
    });
    for host in ["gw1", "gw2", "cp1", "cp2"] {
        assert!(release_of(&site, host).contains("4.6.0"), "{host}: {}", release_of(&site, host));
    }
    assert_eq!(changed(&site.run("apply", &[]).ended_with(0)), 0);

    unnoticed(&site, "rollback", || {
        drop(site.run("rollback", &["--role", "gateway", "--yes"]).ended_with(0))
    });
    for host in ["gw1", "gw2"] {
        assert!(release_of(&site, host).contains("4.5.0"), "{host}: {}", release_of(&site, host));
    }
    a_node_that_is_down_counts(&site);
}

/// The gateway that goes first falls over with the new release: it goes back by itself, and the other one is not touched.
fn a_bad_release_goes_back(site: &Site) {
    site.run("apply", &["--tags", "prepare,configure"]).ended_with(0);
    let fault = "crash_before_marker = true";
    let spoil = format!("for release in {RELEASES}/; do echo '{fault}' > $release/standin-faults.toml; done");
    let gateways = ["gw1", "gw2"];
    for host in gateways {
        site.sh(host, &spoil);
    }
    let before = starts(site, "gateway");
    let run = site.run("apply", &[]).ended_with(1).text();
    assert!(run.contains("did not become healthy; back on 4.5.0-"), "{run}");
    let after = starts(site, "gateway");
    assert_eq!(before.iter().zip(&after).filter(|(before, after)| before != after).count(), 1, "{run}");
    for host in gateways {
        assert!(release_of(site, host).contains("4.5.0"), "{host}: {}", release_of(site, host));
        site.sh(host, &format!("rm {RELEASES}/standin-faults.toml"));
    }
}

/// An apply is killed after that time.
fn dies_in_the_middle(site: &Site, after: Duration) {
    let inventory = site.operator.file("inventory.yaml", &site.inventory.text());
    let mut run = site.operator.start(["apply".as_ref(), inventory.as_os_str()]);
    let at = run.since() + after;
    until(after, || Instant::now() >= at || run.has_ended());
    run.signal(Signal::KILL);
    assert_eq!(run.wait(after).code, 137, "it had ended before it was killed");
}

/// With one of two gateways down the other one is not taken down; apply brings the first one back.
fn a_node_that_is_down_counts(site: &Site) {
    site.sh("gw1", "systemctl stop wso2-gateway");
    let [_, second] = starts(site, "gateway")[..] else { panic!("two gateways") };
    let refused = site.run("restart", &["--limit", "gw2"]).ended_with(1).text();
    assert!(refused.contains("gw1") && refused.contains("down"), "{refused}");
    assert_eq!(starts(site, "gateway")[1], second, "the last healthy gateway was restarted");
    site.run("start", &["--limit", "gw1"]).ended_with(0);
    site.run("restart", &["--limit", "gw2"]).ended_with(0);
    assert!(starts(site, "gateway")[1] > second, "it was not restarted");
}
