//! Nodes that die during a run: the survey alone is not enough to take the next one down.

use super::fake::Act;
use super::*;
use crate::engine::{HostEnd, Standing};

fn restart(scene: &mut Scene, host: &str, node: &str) -> [StepId; 2] {
    let first = scene.step(host, Act::Restart(node.into())).id;
    [first, scene.step(host, Act::Prove(node.into())).id]
}

/// Three gateways of which one may be down, in this order.
fn scene() -> (Scene, [[StepId; 2]; 3]) {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2", "g3"]);
    scene.peers("gateway", &[("a", "g1"), ("b", "g2"), ("c", "g3")]);
    scene.stage(OnFailure::StopAtBarrier).width = Some(1);
    let steps = [("a", "g1"), ("b", "g2"), ("c", "g3")].map(|(host, node)| restart(&mut scene, host, node));
    (scene, steps)
}

fn dies(scene: &Scene, when: &str, victim: &str) {
    scene.hosts.world().deaths.insert(when.into(), victim.into());
}

fn standing(result: &RunResult, node: &str) -> Standing {
    result.nodes.iter().find(|one| one.node.0 == node).map(|one| one.standing.clone()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn dead_node_is_started_before_healthy_node_goes_down() {
    let (scene, _) = scene();
    dies(&scene, "g1", "g3");
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
    let log = scene.log();
    let at = |what: &str| log.iter().position(|line| line == what).unwrap_or_else(|| panic!("{log:?}"));
    assert!(at("g3 died") < at("c: step 6"), "{log:?}");
    let noted =
        |text: &str| events.iter().any(|event| matches!(event, Event::Note(_, note) if note.contains(text)));
    assert!(noted("g3 was healthy when the run began, and now counts as down: not healthy"), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn regressed_node_halts_rollout() {
    for limit in [1, 2] {
        let (mut scene, _) = scene();
        scene.pool("gateway", limit, &["g1", "g2", "g3"]);
        dies(&scene, "g2", "g1");
        let (result, _) = scene.run().await;
        assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
        assert_eq!(result.hosts[&host("c")].end, HostEnd::Failed("step 5".into()), "{limit}");
        assert!(!scene.hosts.world().down.contains("g3"), "g3 is still running");
        assert_eq!(standing(&result, "g1"), Standing::Down("not healthy".into()));
        assert_eq!(standing(&result, "g3"), Standing::Untouched);
    }
}

#[tokio::test(start_paused = true)]
async fn dead_host_counts_as_down() {
    let (scene, steps) = scene();
    // It dies during its own session.
    scene.hosts.world().turns.insert(steps[0][1], 300);
    let world = Arc::clone(&scene.hosts.0);
    let (_sender, interrupt) = watch::channel(Interrupt::None);
    let (result, events) = scene
        .run_until(interrupt, |event| {
            if matches!(event, Event::StepFinished(_, StepId(1), ..)) {
                world.lock().unwrap().dead.insert(host("a"));
            }
        })
        .await;
    assert_eq!(result.hosts[&host("b")].end, HostEnd::Failed("step 3".into()), "{events:?}");
    assert!(!scene.hosts.world().down.contains("g2"));
    assert_eq!(standing(&result, "g1"), Standing::Down("its host is unreachable".into()));
}

#[tokio::test(start_paused = true)]
async fn dead_node_uses_larger_budget() {
    let (mut scene, _) = scene();
    scene.pool("gateway", 2, &["g1", "g2", "g3"]);
    dies(&scene, "g1", "g3");
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn canary_that_dies_while_it_is_drained_still_counts() {
    let mut scene = Scene::new();
    scene.pool("gateway", 2, &["g1", "g2", "g3", "g4"]);
    scene.stage(OnFailure::StopAtBarrier);
    scene.rotation("b", "g2", &["lb"]);
    scene.hosts.world().down.insert("g1".into());
    scene.hosts.world().busy.insert("g2".into(), 20);
    // g1 is down and is started without a permit. g2 is the canary, and dies before it is stopped.
    dies(&scene, "g1", "g2");
    let steps = [("b", "g2"), ("a", "g1"), ("c", "g3"), ("d", "g4")]
        .map(|(host, node)| restart(&mut scene, host, node));
    // g1 recovers after the permit of g2 was granted; g3 and g4 are down at the same time.
    scene.hosts.world().turns.extend([1, 2, 3].map(|at| (steps[at][1], 300)));
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
    let log = scene.log();
    let at = |what: &str| log.iter().position(|line| line == what).unwrap_or_else(|| panic!("{log:?}"));
    assert!(at("lb: g2 out") < at("g2 died") && at("g2 died") < at("lb: g2 in"), "{log:?}");
    assert!(scene.hosts.world().most_at_work >= 2, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn outage_skips_peer_checks() {
    let (mut scene, _) = scene();
    scene.settings.limits.outage = true;
    dies(&scene, "g1", "g3");
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
}
