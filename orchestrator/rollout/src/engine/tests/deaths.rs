//! Nodes that die by themselves while a run goes on: the next one is not taken down on what the survey found.

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

fn dies(scene: &Scene, when: &str, who: &str) {
    scene.hosts.world().deaths.insert(when.into(), who.into());
}

fn standing(result: &RunResult, node: &str) -> Standing {
    result.nodes.iter().find(|one| one.node.0 == node).map(|one| one.standing.clone()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_that_is_still_to_come_is_started_first_and_the_healthy_one_waits() {
    let (scene, _) = scene();
    dies(&scene, "g1", "g3");
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
    let log = scene.log();
    let at = |what: &str| log.iter().position(|line| line == what).unwrap_or_else(|| panic!("{log:?}"));
    assert!(at("g3 died") < at("c: step 6"), "{log:?}");
    let told =
        |text: &str| events.iter().any(|event| matches!(event, Event::Note(_, note) if note.contains(text)));
    assert!(told("g3 was healthy when the run began, and counts as down now: not healthy"), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_renewed_and_did_not_stay_up_ends_the_rollout() {
    for limit in [1, 2] {
        let (mut scene, _) = scene();
        scene.pool("gateway", limit, &["g1", "g2", "g3"]);
        dies(&scene, "g2", "g1");
        let (result, _) = scene.run().await;
        assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
        assert_eq!(result.hosts[&host("c")].end, HostEnd::Failed("step 5".into()), "{limit}");
        assert!(!scene.hosts.world().down.contains("g3"), "g3 was left running");
        assert_eq!(standing(&result, "g1"), Standing::Down("not healthy".into()));
        assert_eq!(standing(&result, "g3"), Standing::Untouched);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_dies_counts_too() {
    let (scene, steps) = scene();
    // It dies while its own conversation goes on.
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
async fn with_a_larger_budget_one_that_died_takes_its_place_in_it() {
    let (mut scene, _) = scene();
    scene.pool("gateway", 2, &["g1", "g2", "g3"]);
    dies(&scene, "g1", "g3");
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn who_wants_an_outage_looks_at_nobody() {
    let (mut scene, _) = scene();
    scene.settings.limits.outage = true;
    dies(&scene, "g1", "g3");
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
}
