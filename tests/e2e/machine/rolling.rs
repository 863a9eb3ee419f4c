//! Restarts, configuration changes and upgrades lose no request under constant load.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use apim_tests::machine::Topology;
use apim_tests::poll::until;
use rustix::process::Signal;
use serde_json::json;

use super::under_load::{load_balanced, without_lost_requests};
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
    let Some(mut site) = load_balanced(&Topology::ha().expect("a topology")) else { return };
    site.inventory.release("4.5.0");
    site.run("apply", &[]).ended_with(0);

    let before = [starts(&site, "gateway"), starts(&site, "control_plane")].concat();
    without_lost_requests(&site, "restart", || {
        site.run("restart", &["--role", "gateway", "--role", "control_plane"]).ended_with(0);
    });
    let after = [starts(&site, "gateway"), starts(&site, "control_plane")].concat();
    assert!(before.iter().zip(&after).all(|(before, after)| before < after), "{before:?}, {after:?}");

    site.inventory.set("gateway.heap", json!("384m")).set("control_plane.heap", json!("384m"));
    without_lost_requests(&site, "configuration", || {
        assert!(changed(&site.run_json("apply", &[]).ended_with(0)) > 0)
    });
    let changed_at = [starts(&site, "gateway"), starts(&site, "control_plane")].concat();
    assert!(after.iter().zip(&changed_at).all(|(before, after)| before < after), "{after:?}, {changed_at:?}");

    // Nodes started outside apim-deploy are healthy, too; the budget must count them before the upgrade.
    for host in ["gw1", "gw2", "cp1", "cp2"] {
        site.sh(host, "systemctl restart 'wso2-*'");
    }
    assert!(until(SOON, || site.run("status", &["--drift", "off"]).code == 0), "they do not become healthy");
    site.inventory.release("4.6.0");
    without_lost_requests(&site, "a release that does not become healthy", || {
        broken_release_is_rolled_back(&site)
    });
    without_lost_requests(&site, "upgrade", || {
        for latest in [9, 6, 4] {
            kill_apply(&site, random_moment(latest));
        }
        site.run("upgrade", &["--yes"]).ended_with(0);
    });
    for host in ["gw1", "gw2", "cp1", "cp2"] {
        assert!(release_of(&site, host).contains("4.6.0"), "{host}: {}", release_of(&site, host));
    }
    site.assert_up_to_date();

    without_lost_requests(&site, "rollback", || {
        drop(site.run("rollback", &["--role", "gateway", "--yes"]).ended_with(0))
    });
    for host in ["gw1", "gw2"] {
        assert!(release_of(&site, host).contains("4.5.0"), "{host}: {}", release_of(&site, host));
    }
    down_node_counts_in_budget(&site);
}

/// The first gateway crashes with the new release and is rolled back; the other one is not changed.
fn broken_release_is_rolled_back(site: &Site) {
    site.run("apply", &["--tags", "prepare,configure"]).ended_with(0);
    let fault = "crash_before_marker = true";
    let break_release =
        format!("for release in {RELEASES}/; do echo '{fault}' > $release/standin-faults.toml; done");
    let gateways = ["gw1", "gw2"];
    for host in gateways {
        site.sh(host, &break_release);
    }
    let before = starts(site, "gateway");
    let run = site.run("apply", &[]).ended_with(1).text();
    assert!(run.contains("did not become healthy; rolled back to 4.5.0-"), "{run}");
    let after = starts(site, "gateway");
    assert_eq!(before.iter().zip(&after).filter(|(before, after)| before != after).count(), 1, "{run}");
    for host in gateways {
        assert!(release_of(site, host).contains("4.5.0"), "{host}: {}", release_of(site, host));
        site.sh(host, &format!("rm {RELEASES}/standin-faults.toml"));
    }
}

/// Returns a random duration from 1 s to `latest` seconds.
fn random_moment(latest: u32) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let moment = Duration::from_millis(u64::from(1000 + now.subsec_micros() % ((latest - 1) * 1000)));
    eprintln!("killed after {moment:?}");
    moment
}

/// Starts an apply and kills it after this time.
fn kill_apply(site: &Site, after: Duration) {
    let inventory = site.operator.file("inventory.yaml", &site.inventory.text());
    let mut run = site.operator.start(["apply".as_ref(), inventory.as_os_str()]);
    let at = run.started_at() + after;
    until(after, || Instant::now() >= at || run.has_ended());
    run.signal(Signal::KILL);
    assert_eq!(run.wait(after).code, 137, "the apply ended before it was killed");
}

/// If one of two gateways is down, the other one is not restarted.
fn down_node_counts_in_budget(site: &Site) {
    site.sh("gw1", "systemctl stop wso2-gateway");
    let [_, second] = starts(site, "gateway")[..] else { panic!("two gateways") };
    let refused = site.run("restart", &["--limit", "gw2"]).ended_with(1).text();
    assert!(refused.contains("gw1") && refused.contains("down"), "{refused}");
    assert_eq!(starts(site, "gateway")[1], second, "the last healthy gateway was restarted");
    site.run("start", &["--limit", "gw1"]).ended_with(0);
    site.run("restart", &["--limit", "gw2"]).ended_with(0);
    assert!(starts(site, "gateway")[1] > second, "gw2 was not restarted");
}
