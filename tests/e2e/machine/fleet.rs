//! Many nodes of a role: the disruption budget is respected, also if nodes are down or crash during the
//! run.

use std::time::Duration;

use apim_tests::cli::Running;
use apim_tests::machine::Topology;
use apim_tests::poll::until;
use serde_json::Value;

use super::Site;
use super::under_load::{load_balanced, most_at_once, outages, without_lost_requests};

/// The time limit until a run takes a node down.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn restarts_respect_the_disruption_budget() {
    let topology = Topology::of(&[("km", 1), ("gw", 5), ("cp", 3), ("tm", 2)]).expect("a topology");
    let Some(mut site) = load_balanced(&topology) else { return };
    site.inventory.release("4.5.0");
    site.run("apply", &[]).ended_with(0);

    // By default, one at a time.
    let begun = site.now();
    without_lost_requests(&site, "one at a time", || drop(site.run("restart", &[]).ended_with(0)));
    for (group, count) in [("gateway", 5), ("control_plane", 3), ("traffic_manager", 2)] {
        let outages = outages(&site, group);
        assert!(outages.iter().all(|one| one.from > begun) && outages.len() == count, "{outages:?}");
        assert_eq!(most_at_once(&outages, begun), 1, "{outages:?}");
    }

    // Two at a time, after the first one.
    let begun = site.now();
    without_lost_requests(&site, "two at a time", || {
        drop(site.run("restart", &["--role", "gateway", "--max-unavailable", "2"]).ended_with(0));
    });
    let mut found = outages(&site, "gateway");
    found.sort_by_key(|one| one.from);
    assert!(found.iter().all(|one| one.from > begun), "{found:?}");
    assert_eq!(most_at_once(&found, begun), 2, "{found:?}");
    assert!(found[1].from >= found[0].to, "the second one did not wait for the first: {found:?}");

    // One is down already, so the budget permits only one more.
    site.sh("gw3", "systemctl stop wso2-gateway");
    let begun = site.now();
    without_lost_requests(&site, "one is down already", || {
        let options = ["--role", "gateway", "--max-unavailable", "2", "--limit", "all:!gw3"];
        drop(site.run("restart", &options).ended_with(0));
    });
    let found: Vec<_> = outages(&site, "gateway").into_iter().filter(|one| one.host != "gw3").collect();
    assert!(found.iter().all(|one| one.from > begun), "{found:?}");
    assert_eq!(most_at_once(&found, begun), 1, "{found:?}");
    site.run("start", &["--limit", "gw3"]).ended_with(0);

    crash_stops_the_rollout(&site);
}

/// While the first gateway is down, another one crashes: no other gateway is taken down.
fn crash_stops_the_rollout(site: &Site) {
    let mut begun = 0;
    let mut victim = String::new();
    without_lost_requests(site, "one crashes during the run", || {
        let inventory = site.operator.file("inventory.yaml", &site.inventory.text());
        let arguments = ["restart", inventory.to_str().expect("a path"), "--role", "gateway", "-o", "json"];
        begun = site.now();
        let run = site.operator.start(arguments);
        let mut first = None;
        until(SOON, || {
            first = going_down(&run);
            first.is_some()
        });
        let first = first.unwrap_or_else(|| panic!("no gateway goes down: {}", run.output()));
        victim =
            (1..=5).rev().map(|n| format!("gw{n}")).find(|name| *name != first).expect("another gateway");
        site.lab.kill(&victim).expect("it is killed");
        let ended = run.wait(Duration::from_secs(200)).ended_with(1);
        assert!(ended.text().contains(&victim), "{}", ended.text());
    });
    let down: Vec<_> = outages(site, "gateway").into_iter().filter(|one| one.from > begun).collect();
    assert_eq!(down.len(), 1, "{victim} is dead, and these were taken down: {down:?}");

    site.lab.boot(&victim).expect("it boots");
    site.run("restart", &["--role", "gateway"]).ended_with(0);
    let down = outages(site, "gateway");
    assert!(down.len() == 5 && down.iter().all(|one| one.from > begun), "{down:?}");
}

/// Returns the gateway that is being stopped, according to the events.
fn going_down(run: &Running) -> Option<String> {
    run.output().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|event| {
        let is_stop = event["event"] == "step_progress"
            && event["what"].as_str().is_some_and(|what| what.starts_with("stopping"));
        is_stop.then(|| event["host"].as_str().unwrap_or_default().to_owned())
    })
}
