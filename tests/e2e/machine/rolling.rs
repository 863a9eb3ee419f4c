//! Nobody notices: under constant load through the load balancer nodes are restarted, configured and upgraded, and no request is lost.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use apim_tests::machine::Topology;
use apim_tests::poll::until;
use rustix::process::Signal;
use serde_json::json;

use super::balanced::{balanced, unnoticed};
use super::{SOON, Site};
use crate::changed;

/// The new release of a gateway.
const RELEASES: &str = "/opt/wso2/gateway/releases/4.6.0-*";

fn starts(site: &Site, group: &str) -> Vec<u64> {
    let nodes = site.nodes().into_iter().filter(|node| node.group == group);
    nodes.map(|node| site.started(&node)).collect()
}

fn release_of(site: &Site, host: &str) -> String {
    site.sh(host, "readlink /opt/wso2/*/current")
}

#[test]
fn restarts_changes_and_upgrades_lose_no_request() {
    let Some(mut site) = balanced(&Topology::ha().expect("a topology")) else { return };
    site.inventory.release("4.5.0");
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

    // Nodes that somebody else started are healthy, too: the budget must know that before they go to another release.
    for host in ["gw1", "gw2", "cp1", "cp2"] {
        site.sh(host, "systemctl restart 'wso2-*'");
    }
    assert!(until(SOON, || site.run("status", &["--drift", "off"]).code == 0), "they do not come back");
    site.inventory.release("4.6.0");
    unnoticed(&site, "a release that does not become healthy", || a_bad_release_goes_back(&site));
    unnoticed(&site, "upgrade", || {
        for latest in [9, 6, 4] {
            dies_in_the_middle(&site, random_moment(latest));
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

/// Returns a time between the first second and that many seconds.
fn random_moment(latest: u32) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let moment = Duration::from_millis(u64::from(1000 + now.subsec_micros() % ((latest - 1) * 1000)));
    eprintln!("killed after {moment:?}");
    moment
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
