//! The survey may be outdated when a node is taken down, so its peers are checked again.

use apim_protocol::outcome::Outcome;

use super::fake::Act;
use super::*;
use crate::engine::event::Level;
use crate::engine::{HostEnd, Standing};

const NODES: [(&str, &str); 3] = [("a", "g1"), ("b", "g2"), ("c", "g3")];

/// Three gateways that are restarted one after another.
fn scene(limit: usize) -> Scene {
    let mut scene = Scene::new();
    scene.pool("gateway", limit, &NODES.map(|(_, node)| node));
    scene.peers("gateway", &NODES);
    scene.stage(OnFailure::StopAtBarrier);
    for (host, node) in NODES {
        scene.step(host, Act::Restart(node.into()));
        scene.step(host, Act::Prove(node.into()));
    }
    scene
}

/// Runs the scene. Calls `then` as soon as `host` has a permit.
async fn run(scene: &Scene, host: &str, then: impl Fn(&Scene)) -> (RunResult, Vec<Event>) {
    let (_sender, interrupt) = watch::channel(Interrupt::None);
    scene
        .run_until(interrupt, |event| {
            if matches!(event, Event::LeaveDecided(at, _) if at.0 == host) {
                then(scene);
            }
        })
        .await
}

fn refusals(result: &RunResult) -> Vec<String> {
    let failed = result.outcomes.values().filter_map(|outcome| match outcome {
        Outcome::Failed(failure) => Some(failure.what.clone()),
        _ => None,
    });
    failed.collect()
}

#[tokio::test(start_paused = true)]
async fn peer_that_dies_counts_and_next_node_stays_up() {
    for is_dead in [false, true] {
        let scene = scene(1);
        // The first node is down for long enough.
        scene.hosts.world().turns.insert(StepId(2), 200);
        let (result, events) = run(&scene, "a", |scene| {
            let mut world = scene.hosts.world();
            match is_dead {
                // Its own lane requests a permit before it is checked. Then it is restarted.
                false => world.down.insert("g3".into()),
                true => world.dead.insert(host("c")),
            };
        })
        .await;
        assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
        let noted = events.iter().any(|event| {
            matches!(event, Event::Note(Level::Warning, text)
                if text.starts_with("g3 was healthy when the run began, and now counts as down: "))
        });
        match is_dead {
            false => {
                assert!(
                    noted && result.is_success(),
                    "it is restarted, and the next node follows: {result:?}"
                );
                assert!(scene.hosts.world().down.is_empty());
            }
            true => {
                let standing = |node: &str| result.nodes.iter().find(|one| one.node.0 == node).unwrap();
                assert_eq!(standing("g1").standing, Standing::Renewed);
                assert!(noted || standing("g3").standing == Standing::Renewed, "{events:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dead_unmanaged_peer_counts_and_request_is_refused() {
    let mut scene = scene(1);
    scene.plan.stages[0].lanes.pop();
    scene.plan.peers[2].is_worked_on = false;
    scene.hosts.world().turns.insert(StepId(2), 200);
    let (result, _) = run(&scene, "a", |scene| {
        scene.hosts.world().dead.insert(host("c"));
    })
    .await;
    let standing = |node: &str| &result.nodes.iter().find(|one| one.node.0 == node).unwrap().standing;
    assert_eq!((standing("g1"), standing("g2")), (&Standing::Renewed, &Standing::Untouched));
    assert!(matches!(result.hosts[&host("b")].end, HostEnd::Failed(_)));
    let refused = refusals(&result);
    assert!(
        refused[0].contains("g2 was not touched") && refused[0].contains("g3 (its host is unreachable)"),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn dead_peer_limits_parallel_restarts() {
    let mut scene = scene(2);
    scene.settings.limits.canary = false;
    scene.plan.stages[0].lanes.pop();
    scene.plan.peers[2].is_worked_on = false;
    let first = StepId(1);
    scene.hosts.world().turns.insert(first, 50);
    let (_sender, interrupt) = watch::channel(Interrupt::None);
    let (result, _) = scene
        .run_until(interrupt, |event| {
            if matches!(event, Event::StepStarted(at, id, _) if at.0 == "a" && *id == first) {
                scene.hosts.world().dead.insert(host("c"));
            }
        })
        .await;
    assert_eq!(scene.hosts.world().violations, Vec::<String>::new(), "{result:?}");
    let down_at_once = scene.hosts.world().down.len();
    assert_eq!(down_at_once, 0, "{result:?}");
    assert!(result.is_success(), "both are restarted, one after another: {result:?}");
}

#[tokio::test(start_paused = true)]
async fn short_peer_failure_does_not_halt_rollout() {
    let scene = scene(1);
    scene.hosts.world().turns.insert(StepId(2), 200);
    scene.hosts.world().hiccups.insert("g3".into(), 1);
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn outage_skips_peer_checks() {
    let mut scene = scene(3);
    scene.settings.limits.outage = true;
    scene.settings.limits.canary = false;
    scene.plan.peers[2].host = host("nowhere");
    scene.hosts.world().dead.insert(host("nowhere"));
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
}

/// Two gateways behind a load balancer. Each is checked before the other one goes down.
fn balanced() -> Scene {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2"]);
    scene.stage(OnFailure::StopAtBarrier);
    for (host, node) in [("a", "g1"), ("b", "g2")] {
        scene.rotation(host, node, &["lb"]);
        scene.step(host, Act::Restart(node.into()));
        scene.step(host, Act::Prove(node.into()));
    }
    scene.peers("gateway", &[("a", "g1"), ("b", "g2")]);
    scene
}

fn drain(scene: &Scene, node: &str) {
    scene.hosts.world().rotation.remove(&(host("lb"), node.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn node_drained_by_killed_run_goes_first() {
    for left_out in ["g1", "g2"] {
        let scene = balanced();
        drain(&scene, left_out);
        let (result, events) = scene.run().await;
        assert!(result.is_success(), "{result:?}");
        assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
        assert_eq!(scene.hosts.world().rotation.len(), 2, "both get requests");
        let other = if left_out == "g1" { "g2" } else { "g1" };
        let log = scene.log();
        let at =
            |what: String| log.iter().position(|line| *line == what).unwrap_or_else(|| panic!("{log:?}"));
        assert!(at(format!("lb: {left_out} in")) < at(format!("lb: {other} out")), "{log:?}");
        let noted =
            format!("{left_out} was healthy when the run began, and now counts as down: drained on lb");
        let is_noted = |event: &Event| matches!(event, Event::Note(_, text) if text.starts_with(&noted));
        assert!(left_out == "g1" || events.iter().any(is_noted), "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn drained_unmanaged_peer_keeps_other_node_up() {
    let mut scene = balanced();
    scene.plan.stages[0].lanes.remove(0);
    scene.plan.peers[0].is_worked_on = false;
    drain(&scene, "g1");
    let (result, _) = scene.run().await;
    let refused = refusals(&result);
    assert!(refused[0].contains("g2 was not touched") && refused[0].contains("drained on lb"), "{refused:?}");
    assert!(scene.hosts.world().down.is_empty());
}

#[tokio::test(start_paused = true)]
async fn drain_of_last_node_is_refused_before_any_change() {
    for (is_out, is_dead) in [(true, false), (false, true), (false, false)] {
        let mut scene = balanced();
        scene.plan.stages.clear();
        scene.stage(OnFailure::StopAtBarrier);
        scene.step("lb", Act::Change);
        scene.plan.peers[0].is_worked_on = false;
        scene.plan.drains = true;
        if is_out {
            drain(&scene, "g1");
        }
        if is_dead {
            scene.hosts.world().dead.insert(host("a"));
        }
        let (result, _) = scene.run().await;
        assert_eq!(result.is_success(), !is_out && !is_dead, "{result:?}");
        if let Some(stopped) = &result.stopped {
            assert!(stopped.why.contains("this would leave no gateway in service: g1 ("), "{}", stopped.why);
            assert_eq!(scene.log(), Vec::<String>::new(), "nothing was changed");
        }
        scene.settings.limits.outage = true;
        scene.hosts.world().converged.clear();
        assert!(scene.run().await.0.is_success(), "an allowed outage");
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_runs_on_one_role_are_refused() {
    let mut scene = balanced();
    scene.plan.stages[0].lanes.pop();
    scene.plan.peers[1].is_worked_on = false;
    scene.settings.timeouts.lock = Duration::from_secs(60);
    scene.hosts.world().held.insert(host("b"), 2);
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "the other run ends soon: {result:?}");

    let mut scene = balanced();
    scene.plan.stages[0].lanes.pop();
    scene.plan.peers[1].is_worked_on = false;
    scene.hosts.world().held.insert(host("b"), usize::MAX);
    let (result, _) = scene.run().await;
    let stopped = result.stopped.expect("it is refused");
    assert!(
        stopped.why.contains("b has a node of the same role") && stopped.why.contains("ops@elsewhere"),
        "{}",
        stopped.why
    );
    assert_eq!(scene.log(), Vec::<String>::new(), "nothing was changed");
}

#[tokio::test(start_paused = true)]
async fn stopped_nodes_are_undrained_when_healthy() {
    let scene = balanced();
    for node in ["g1", "g2"] {
        drain(&scene, node);
        scene.hosts.world().down.insert(node.into());
    }
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().rotation.len(), 2, "{:?}", scene.log());
}
