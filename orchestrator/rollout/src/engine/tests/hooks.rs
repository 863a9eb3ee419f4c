//! External load balancers are changed by hooks: before a node goes down, and once it is healthy,
//! whatever fails in between.

use apim_protocol::outcome::Outcome;
use tokio::sync::watch;

use super::fake::Act;
use super::*;
use crate::engine::HostEnd;
use crate::engine::event::Level;

/// Two gateways behind an external load balancer.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2"]);
    scene.stage(OnFailure::StopAtBarrier);
    for (host, node) in [("a", "g1"), ("b", "g2")] {
        scene.hooks(host, node);
        scene.step(host, Act::Restart(node.into()));
        scene.step(host, Act::Prove(node.into()));
        scene.returned(host, node);
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

/// How often each hook was called.
fn calls(scene: &Scene, words: &str) -> usize {
    scene.log().iter().filter(|line| **line == format!("hook {words}")).count()
}

fn notes(events: &[Event], level: Level) -> Vec<&String> {
    let note = |event| match event {
        &Event::Note(of, ref text) if of == level => Some(text),
        _ => None,
    };
    events.iter().filter_map(note).collect()
}

fn is_clean(scene: &Scene) {
    let world = scene.hosts.world();
    assert_eq!(world.violations, Vec::<String>::new());
    assert!(world.left_out.is_empty() && world.marked.is_empty(), "{:?}", world.log);
}

#[tokio::test(start_paused = true)]
async fn node_is_drained_before_restart_and_undrained_when_healthy() {
    let scene = scene();
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    is_clean(&scene);
    let log = scene.log();
    let of_first: Vec<&str> =
        if log.iter().position(|l| l == "hook drain g1") < log.iter().position(|l| l == "hook drain g2") {
            vec![
                "a: g1 marked",
                "hook drain g1",
                "a: step 2",
                "hook undrain g1",
                "a: g1 unmarked",
                "b: g2 marked",
            ]
        } else {
            vec![
                "b: g2 marked",
                "hook drain g2",
                "b: step 5",
                "hook undrain g2",
                "b: g2 unmarked",
                "a: g1 marked",
            ]
        };
    let at: Vec<Option<usize>> =
        of_first.iter().map(|what| log.iter().position(|line| line == what)).collect();
    assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{log:?}");
    let noted = notes(&events, Level::Info);
    assert!(noted.iter().any(|text| *text == "g1 is out of rotation (hook `drain g1`)"), "{noted:?}");
}

#[tokio::test(start_paused = true)]
async fn failed_hook_is_retried() {
    let scene = scene();
    scene.hosts.world().broken.insert("drain g1".into(), 2);
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    is_clean(&scene);
    assert_eq!(calls(&scene, "drain g1"), 3);
    let noted = notes(&events, Level::Info);
    let again = "hook `drain g1`: exit status 1; output: line 1 / line 2; 2 retries left";
    assert!(noted.iter().any(|text| *text == again), "{noted:?}");
}

#[tokio::test(start_paused = true)]
async fn failed_drain_hook_keeps_node_up_and_halts_rollout() {
    for (node, other, is_stuck) in [("g1", "g2", false), ("g1", "g2", true)] {
        let mut scene = scene();
        let id = scene.plan.stages[0].lanes[1].steps[0].id;
        scene.hosts.world().turns.insert(id, 500);
        let words = format!("drain {node}");
        match is_stuck {
            true => drop(scene.hosts.world().stuck.insert(words.clone())),
            false => drop(scene.hosts.world().broken.insert(words.clone(), usize::MAX)),
        }
        scene.settings.limits.canary = true;
        let (result, _) = scene.run().await;
        assert!(!result.is_success());
        let why = failure(&result);
        assert!(
            why.contains("g1 could not be drained: hook `drain g1`: ") && why.contains("line 1 / line 2"),
            "{why}"
        );
        assert!(scene.hosts.world().down.is_empty(), "no node was taken down");
        assert_eq!(
            calls(&scene, &words),
            if is_stuck { 1 } else { 3 },
            "a hook that hangs is not called again"
        );
        assert_eq!(calls(&scene, "undrain g1"), 1, "it may have been drained");
        assert_eq!(calls(&scene, &format!("drain {other}")), 0, "the rollout was halted: {:?}", scene.log());
        is_clean(&scene);
    }
}

#[tokio::test(start_paused = true)]
async fn failed_hook_is_a_warning_with_outage() {
    let mut scene = scene();
    scene.settings.limits.outage = true;
    scene.hosts.world().broken.insert("drain g1".into(), usize::MAX);
    scene.hosts.world().hooked.clear();
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    let noted = notes(&events, Level::Warning);
    assert!(noted.iter().any(|text| text.ends_with("continuing because of --allow-outage")), "{noted:?}");
}

#[tokio::test(start_paused = true)]
async fn failed_undrain_is_repeated_by_next_run() {
    let scene = scene();
    let second = scene.plan.stages[0].lanes[1].steps[0].id;
    scene.hosts.world().turns.insert(second, 500);
    scene.hosts.world().broken.insert("undrain g1".into(), 3);
    let (result, _) = scene.run().await;
    let why = failure(&result);
    assert!(why.contains("g1 is healthy, but g1 could not be undrained: hook `undrain g1`"), "{why}");
    assert!(matches!(result.hosts[&host("b")].end, HostEnd::Failed(_)), "the rollout was halted: {result:?}");
    assert_eq!(calls(&scene, "drain g2"), 0);
    assert!(scene.hosts.world().marked.contains("g1"), "the next run finds the marker");

    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    is_clean(&scene);
    let log = scene.log();
    let back = log.iter().rposition(|line| line == "a: g1 unmarked");
    assert!(back < log.iter().position(|line| line == "hook drain g2"), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn node_drained_by_killed_run_counts_as_down() {
    // Killed between the drain hook and the restart: the node is healthy and gets no requests. Both
    // nodes still have to be restarted.
    let scene = scene();
    scene.hosts.world().marked.insert("g1".into());
    scene.hosts.world().left_out.insert("g1".into());
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    is_clean(&scene);

    // Killed before the undrain: nothing else is left to do.
    let second = super::hooks::scene();
    let mut done: Vec<StepId> = Vec::new();
    done.extend(second.plan.stages[0].lanes.iter().flat_map(|lane| &lane.steps).map(|step| step.id));
    second.hosts.world().converged.extend(done);
    second.hosts.world().marked.insert("g1".into());
    second.hosts.world().left_out.insert("g1".into());
    let (result, _) = second.run().await;
    assert!(result.is_success() && !result.nothing_to_do, "{result:?}");
    is_clean(&second);
    let id = second.plan.stages[0].lanes[0].steps[2].id;
    let Outcome::Changed(what) = &result.outcomes[&id] else { panic!("{:?}", result.outcomes[&id]) };
    assert_eq!(what.statements(), ["call hook `undrain g1`"]);
    assert_eq!(calls(&second, "undrain g1"), 1);
    let (result, _) = second.run().await;
    assert!(result.nothing_to_do && calls(&second, "undrain g1") == 1, "the hook is called once");
}

#[tokio::test(start_paused = true)]
async fn drained_unmanaged_peer_counts_as_down() {
    let mut scene = Scene::new();
    scene.pool("gateway", 1, &["g1", "g2"]);
    scene.stage(OnFailure::StopAtBarrier);
    scene.hooks("a", "g1");
    scene.step("a", Act::Restart("g1".into()));
    scene.step("a", Act::Prove("g1".into()));
    let absent =
        |what: &str| Operation::Absent(Absent { path: AbsPath::parse(what).unwrap(), recursive: false });
    scene.plan.peers.push(Peer {
        node: NodeName("g2".into()),
        host: host("b"),
        pool: "gateway".into(),
        healthy: absent("/healthy/g2"),
        balancers: Vec::new(),
        is_worked_on: false,
        returned: Some(absent("/marked/g2")),
    });
    scene.hosts.world().marked.insert("g2".into());
    let (result, _) = scene.run().await;
    let why = failure(&result);
    assert!(why.contains("g2 (drained by a hook"), "{why}");
    assert_eq!(calls(&scene, "drain g1"), 0);
    scene.hosts.world().marked.clear();
    assert!(scene.run().await.0.is_success());
}

#[tokio::test(start_paused = true)]
async fn hooks_are_not_called_for_nodes_that_are_down() {
    let scene = scene();
    scene.hosts.world().down.insert("g1".into());
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!((calls(&scene, "drain g1"), calls(&scene, "undrain g1")), (0, 0), "{:?}", scene.log());
    assert_eq!(calls(&scene, "undrain g2"), 1);
}

#[tokio::test(start_paused = true)]
async fn failed_node_stays_drained() {
    let mut scene = scene();
    let id = scene.plan.stages[0].lanes[0].steps[1].id;
    scene.hosts.world().acts.insert(id, Act::ProveInVain("g1".into()));
    let second = scene.plan.stages[0].lanes[1].steps[0].id;
    scene.hosts.world().turns.insert(second, 500);
    scene.settings.limits.canary = true;
    let (result, _) = scene.run().await;
    assert!(!result.is_success());
    assert_eq!(calls(&scene, "undrain g1"), 0);
    assert!(scene.hosts.world().marked.contains("g1"));
    scene.hosts.world().acts.insert(id, Act::Prove("g1".into()));
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    is_clean(&scene);
}

#[tokio::test(start_paused = true)]
async fn interrupted_run_undrains_nodes_not_taken_down() {
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
    is_clean(&scene);
}

#[tokio::test(start_paused = true)]
async fn drained_hook_is_polled() {
    let mut scene = scene();
    for node in ["g1", "g2"] {
        let rotation = scene.plan.rotations.get_mut(&NodeName(node.into())).unwrap();
        let mut hooks = rotation.hooks.as_deref().cloned().unwrap();
        let mut asks = hooks.drain[0].clone();
        asks.words = format!("drained {node}");
        hooks.drained = vec![asks];
        rotation.hooks = Some(Arc::new(hooks));
    }
    scene.hosts.world().busy.extend([("g1".to_owned(), 4), ("g2".to_owned(), usize::MAX)]);
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    is_clean(&scene);
    assert_eq!(calls(&scene, "drained g1"), 5);
    let noted = notes(&events, Level::Warning);
    assert_eq!(noted.len(), 1, "{noted:?}");
    assert!(
        noted[0].starts_with("g2 is taken down although")
            && noted[0].contains("after 30 s: hook `drained g2`: 3 sessions"),
        "{noted:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn drain_requires_marker_on_host() {
    let mut scene = scene();
    let rotation = scene.plan.rotations.get_mut(&NodeName("g1".into())).unwrap();
    let mut hooks = rotation.hooks.as_deref().cloned().unwrap();
    hooks.host = "elsewhere".into();
    rotation.hooks = Some(Arc::new(hooks));
    scene.hosts.world().dead.insert(host("elsewhere"));
    let (result, _) = scene.run().await;
    assert!(!result.is_success());
    assert_eq!((calls(&scene, "drain g1"), calls(&scene, "undrain g1")), (0, 0));
    assert!(!scene.hosts.world().down.contains("g1"));
}
