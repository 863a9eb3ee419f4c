//! Leave to take nodes down: the budget holds, waiting is told, nobody waits in vain.

use super::fake::Act;
use super::*;
use crate::engine::HostEnd;

fn restart(scene: &mut Scene, host: &str, node: &str) {
    scene.step(host, Act::Restart(node.into()));
    scene.step(host, Act::Prove(node.into()));
}

#[tokio::test(start_paused = true)]
async fn nodes_of_a_pool_are_restarted_one_after_the_other() {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2", "g3"]);
    scene.stage(OnFailure::StopAtBarrier);
    for (host, node) in [("a", "g1"), ("b", "g2"), ("c", "g3")] {
        restart(&mut scene, host, node);
    }
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
    assert!(events.iter().any(|event| matches!(event, Event::WaitingForLeave(..))));
}

#[tokio::test(start_paused = true)]
async fn nodes_that_are_down_start_together() {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2"]);
    scene.hosts.world().down.extend(["g1".to_owned(), "g2".to_owned()]);
    scene.stage(OnFailure::StopAtBarrier);
    restart(&mut scene, "a", "g1");
    restart(&mut scene, "b", "g2");
    let (result, events) = scene.run().await;
    assert!(result.is_success());
    assert!(!events.iter().any(|event| matches!(event, Event::WaitingForLeave(..))));
}

#[tokio::test(start_paused = true)]
async fn nodes_that_serve_but_are_not_complete_need_leave_all_the_same() {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2"]);
    scene.stage(OnFailure::StopAtBarrier);
    restart(&mut scene, "a", "g1");
    restart(&mut scene, "b", "g2");
    scene.stage(OnFailure::StopAtBarrier);
    for (host, node) in [("a", "g1"), ("b", "g2")] {
        // Not met when looked at: a peer's connection is missing.
        let complete = scene.step(host, Act::Change);
        complete.node = Some(NodeName(node.into()));
        complete.proves_health = true;
    }
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
    assert!(events.iter().any(|event| matches!(event, Event::WaitingForLeave(..))));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_come_back_keeps_the_others_up() {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2"]);
    scene.stage(OnFailure::StopAtBarrier).width = Some(1);
    scene.step("a", Act::Restart("g1".into()));
    scene.step("a", Act::ProveInVain("g1".into()));
    restart(&mut scene, "b", "g2");
    let (result, _) = scene.run().await;
    assert_eq!(result.hosts[&host("b")].end, HostEnd::Failed("step 3".into()));
    assert!(!scene.hosts.world().down.contains("g2"), "g2 was left running");
}

#[tokio::test(start_paused = true)]
async fn a_node_on_a_dead_host_counts_as_down() {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2"]);
    scene.hosts.world().dead.insert(host("a"));
    scene.stage(OnFailure::StopAtBarrier);
    restart(&mut scene, "a", "g1");
    restart(&mut scene, "b", "g2");
    let (result, events) = scene.run().await;
    assert_eq!(result.hosts[&host("b")].end, HostEnd::Failed("step 3".into()));
    let refusal = events.iter().find_map(|event| match event {
        Event::StepFinished(_, _, _, apim_protocol::outcome::Outcome::Failed(failure), _) => {
            Some(&failure.what)
        }
        _ => None,
    });
    let refusal = refusal.expect("a refusal");
    assert!(refusal.contains("g1 (its host is unreachable)"), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_waits_makes_room_for_the_one_it_waits_for() {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2"]);
    scene.pool("manager", 1, &["m1"]);
    scene.hosts.world().down.insert("g2".into());
    scene.stage(OnFailure::StopAtBarrier).width = Some(1);
    // Both hosts have a node that is down, so neither goes first for that.
    scene.hosts.world().down.insert("m1".into());
    scene.step("a", Act::Restart("g1".into()));
    scene.step("a", Act::Prove("m1".into()));
    scene.step("a", Act::Prove("g1".into()));
    restart(&mut scene, "b", "g2");
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_zero_is_never_touched() {
    let mut scene = Scene::new();
    scene.pool("database", 0, &["d1"]);
    scene.stage(OnFailure::StopAtBarrier);
    restart(&mut scene, "a", "d1");
    let (result, _) = scene.run().await;
    assert_eq!(result.hosts[&host("a")].tally.failed, 1);
    assert!(!scene.hosts.world().down.contains("d1"));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_refused_when_the_run_is_called_off() {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2"]);
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Restart("g1".into()));
    scene.step("a", Act::Wait);
    scene.step("a", Act::Prove("g1".into()));
    let id = scene.step("b", Act::Restart("g2".into())).id;
    scene.hosts.world().turns.insert(id, 100);
    scene.step("b", Act::Prove("g2".into()));
    let (stop, interrupt) = tokio::sync::watch::channel(Interrupt::None);
    let (result, _) = scene
        .run_until(interrupt, |event| {
            if matches!(event, Event::WaitingForLeave(..)) {
                stop.send_replace(Interrupt::Finish);
            }
        })
        .await;
    assert!(result.interrupted);
    assert_eq!(result.hosts[&host("b")].end, HostEnd::Stopped(Some("step 4".into())));
    assert!(!scene.hosts.world().down.contains("g2"));
}

#[tokio::test(start_paused = true)]
async fn somebody_outside_stops_the_rollout_and_whoever_is_down_comes_back() {
    for on_failure in [OnFailure::StopAtBarrier, OnFailure::StopAbove(100)] {
        let mut scene = Scene::new();
        scene.pool("gateway", 1, &["g1", "g2"]);
        scene.stage(on_failure);
        scene.step("a", Act::Restart("g1".into()));
        let proof = scene.step("a", Act::Prove("g1".into())).id;
        scene.hosts.world().turns.insert(proof, 100);
        restart(&mut scene, "b", "g2");
        let (halt, halted) = tokio::sync::watch::channel(None);
        scene.settings.halt = Some(halted);
        let (_sender, interrupt) = tokio::sync::watch::channel(Interrupt::None);
        let (result, events) = scene
            .run_until(interrupt, |event| {
                if matches!(event, Event::WaitingForLeave(..)) {
                    halt.send_replace(Some("3 requests failed".to_owned()));
                }
            })
            .await;
        let failed: Vec<usize> = result.hosts.values().map(|host| host.tally.failed).collect();
        assert_eq!(failed.iter().sum::<usize>(), 1, "{result:?}");
        assert!(scene.hosts.world().down.is_empty(), "who was taken down is back");
        let told = events.iter().any(
            |event| matches!(event, Event::Note(_, text) if text == "the rollout stops: 3 requests failed"),
        );
        assert!(told, "{events:?}");
    }
}
