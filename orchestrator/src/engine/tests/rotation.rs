//! Nodes leave the load balancers before they are taken down, and come back when they are healthy.

use apim_protocol::outcome::Outcome;
use tokio::sync::watch;

use super::fake::Act;
use super::*;
use crate::engine::HostEnd;
use crate::engine::event::Level;
use crate::plan::model::Peer;

/// Two gateways behind two load balancers that are not in the plan.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2"]);
    scene.stage(OnFailure::StopAtBarrier);
    for (host, node) in [("a", "g1"), ("b", "g2")] {
        scene.rotation(host, node, &["lb1", "lb2"]);
        scene.step(host, Act::Restart(node.into()));
        scene.step(host, Act::Prove(node.into()));
    }
    scene
}

fn failure(result: &RunResult) -> String {
    let failed = result.outcomes.values().find_map(|outcome| match outcome {
        Outcome::Failed(failure) => Some(failure.what.clone()),
        _ => None,
    });
    failed.expect("a failure")
}

#[tokio::test(start_paused = true)]
async fn a_node_is_out_everywhere_before_it_goes_and_in_again_before_the_next_one_goes() {
    let scene = scene();
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
    assert_eq!(scene.hosts.world().rotation.len(), 4, "all are back");
    let log = scene.log();
    let at = |what: &str| log.iter().position(|line| line == what).unwrap_or_else(|| panic!("{log:?}"));
    let (first, second) = if at("lb1: g1 out") < at("lb1: g2 out") { ("g1", "g2") } else { ("g2", "g1") };
    assert!(at(&format!("lb2: {first} in")) < at(&format!("lb1: {second} out")), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn its_connections_are_waited_for_and_after_the_limit_it_goes_all_the_same() {
    let scene = scene();
    scene.hosts.world().busy.extend([("g1".to_owned(), 20), ("g2".to_owned(), usize::MAX)]);
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    let notes: Vec<&String> = events
        .iter()
        .filter_map(|event| match event {
            Event::Note(Level::Warning, text) => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].starts_with("g2 is taken down although") && notes[0].contains("after 30 s: 3 connections")
    );
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_refuses_keeps_the_node_up_and_the_others_as_they_were() {
    for is_dead in [false, true] {
        let scene = scene();
        match is_dead {
            true => scene.hosts.world().dead.insert(host("lb2")),
            false => scene.hosts.world().stubborn.insert(host("lb2")),
        };
        let (result, _) = scene.run().await;
        assert!(!result.is_success());
        assert!(scene.hosts.world().down.is_empty(), "nobody was taken down");
        assert_eq!(scene.hosts.world().rotation.len(), 4, "everybody is where it was");
        assert!(failure(&result).contains("could not be taken out of rotation"), "{result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_hangs_is_given_up() {
    let scene = scene();
    scene.hosts.world().hanging.insert(host("lb2"));
    let (result, _) = scene.run().await;
    assert!(!result.is_success());
    assert!(scene.hosts.world().down.is_empty());
    assert!(failure(&result).contains("did not end within"), "{}", failure(&result));
}

#[tokio::test(start_paused = true)]
async fn a_wanted_outage_needs_no_balancer() {
    let mut scene = scene();
    scene.settings.limits.outage = true;
    scene.hosts.world().dead.insert(host("lb2"));
    let (result, _) = scene.run().await;
    assert!(!result.is_success(), "they could not be put back at lb2");
    assert!(failure(&result).contains("could not be put back"), "{}", failure(&result));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_come_back_stays_out_and_the_next_one_in() {
    let mut scene = scene();
    let id = scene.plan.stages[0].lanes[0].steps[1].id;
    scene.hosts.world().acts.insert(id, Act::ProveInVain("g1".into()));
    scene.stage(OnFailure::StopAtBarrier);
    let second = scene.plan.stages[0].lanes[1].steps[0].id;
    scene.hosts.world().turns.insert(second, 500);
    let (result, _) = scene.run().await;
    assert_eq!(scene.hosts.world().rotation.iter().filter(|(_, node)| node == "g1").count(), 0);
    assert_eq!(scene.hosts.world().rotation.iter().filter(|(_, node)| node == "g2").count(), 2);
    assert!(matches!(result.hosts[&host("b")].end, HostEnd::Failed(_)));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_down_is_taken_out_until_it_is_healthy() {
    let scene = scene();
    scene.hosts.world().down.insert("g1".into());
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    let log = scene.log();
    let at = |what: &str| log.iter().position(|line| line == what).unwrap_or_else(|| panic!("{log:?}"));
    assert!(at("lb1: g1 out") < at("a: step 1") && at("a: step 2") < at("lb1: g1 in"), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_called_off_leaves_nobody_out() {
    let scene = scene();
    scene.hosts.world().busy.extend([("g1".to_owned(), usize::MAX), ("g2".to_owned(), usize::MAX)]);
    let (stop, interrupt) = watch::channel(Interrupt::None);
    let (result, _) = scene
        .run_until(interrupt, |event| {
            if matches!(event, Event::Note(_, text) if text.contains("is out of rotation")) {
                stop.send_replace(Interrupt::Finish);
            }
        })
        .await;
    assert!(result.interrupted);
    assert!(scene.hosts.world().down.is_empty());
    assert_eq!(scene.hosts.world().rotation.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_down_beside_the_plan_counts() {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2"]);
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Restart("g1".into()));
    scene.step("a", Act::Prove("g1".into()));
    let path = AbsPath::parse("/healthy/g2").unwrap();
    scene.plan.peers.push(Peer {
        node: NodeName("g2".into()),
        host: host("b"),
        pool: "gateway".into(),
        healthy: Operation::Absent(Absent { path, recursive: false }),
        is_worked_on: false,
        balancers: Vec::new(),
        returned: None,
    });
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "g2 is healthy: {result:?}");
    for is_dead in [false, true] {
        scene.hosts.world().down.insert("g2".into());
        scene.hosts.world().converged.clear();
        if is_dead {
            scene.hosts.world().dead.insert(host("b"));
        }
        let (result, _) = scene.run().await;
        let why = failure(&result);
        assert!(why.contains("g1 was not touched") && why.contains("g2 ("), "{why}");
        assert!(!result.hosts.contains_key(&host("b")), "it is no host of the run");
    }
}
