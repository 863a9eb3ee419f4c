//! What the survey found may be old when a node is taken down: its peers are looked at again.

use apim_protocol::outcome::Outcome;

use super::fake::Act;
use super::*;
use crate::engine::event::Level;
use crate::engine::{HostEnd, Standing};

const NODES: [(&str, &str); 3] = [("a", "g1"), ("b", "g2"), ("c", "g3")];

/// Three gateways that are restarted one after the other.
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

/// Runs the scene; as soon as the first step of `host` is at work, `then` happens to the world.
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
async fn a_peer_that_dies_meanwhile_counts_and_who_comes_next_stays_up() {
    for is_dead in [false, true] {
        let scene = scene(1);
        // The first one is down for long enough.
        scene.hosts.world().turns.insert(StepId(2), 200);
        let (result, events) = run(&scene, "a", |scene| {
            let mut world = scene.hosts.world();
            match is_dead {
                // It does not say so, and its own lane asks before it is looked at: then it is healed.
                false => world.down.insert("g3".into()),
                true => world.dead.insert(host("c")),
            };
        })
        .await;
        assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
        let told = events.iter().any(|event| {
            matches!(event, Event::Note(Level::Warning, text)
                if text.starts_with("g3 was healthy when the run began, and counts as down now: "))
        });
        match is_dead {
            false => {
                assert!(
                    told && result.is_success(),
                    "it is started again, and the next one follows: {result:?}"
                );
                assert!(scene.hosts.world().down.is_empty());
            }
            true => {
                let standing = |node: &str| result.nodes.iter().find(|one| one.node.0 == node).unwrap();
                assert_eq!(standing("g1").standing, Standing::Renewed);
                assert!(told || standing("g3").standing == Standing::Renewed, "{events:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_beyond_the_plan_counts_as_well_and_nobody_waits_for_it_in_vain() {
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
async fn of_two_that_may_go_together_neither_goes_where_both_others_are_dead() {
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
    assert!(result.is_success(), "one after the other there is room for both: {result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_away_for_a_moment_is_no_reason_to_stop() {
    let scene = scene(1);
    scene.hosts.world().turns.insert(StepId(2), 200);
    scene.hosts.world().hiccups.insert("g3".into(), 1);
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_is_wanted_asks_nobody() {
    let mut scene = scene(3);
    scene.settings.limits.outage = true;
    scene.settings.limits.canary = false;
    scene.plan.peers[2].host = host("nowhere");
    scene.hosts.world().dead.insert(host("nowhere"));
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
}

/// Two gateways behind a load balancer, each of which is looked at before the other one goes.
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

fn take_out(scene: &Scene, node: &str) {
    scene.hosts.world().rotation.remove(&(host("lb"), node.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_a_killed_run_left_out_goes_first_and_is_put_back_before_the_other_one_goes() {
    for left_out in ["g1", "g2"] {
        let scene = balanced();
        take_out(&scene, left_out);
        let (result, events) = scene.run().await;
        assert!(result.is_success(), "{result:?}");
        assert_eq!(scene.hosts.world().violations, Vec::<String>::new());
        assert_eq!(scene.hosts.world().rotation.len(), 2, "both get requests");
        let other = if left_out == "g1" { "g2" } else { "g1" };
        let log = scene.log();
        let at =
            |what: String| log.iter().position(|line| *line == what).unwrap_or_else(|| panic!("{log:?}"));
        assert!(at(format!("lb: {left_out} in")) < at(format!("lb: {other} out")), "{log:?}");
        let told =
            format!("{left_out} was healthy when the run began, and counts as down now: lb sends it nobody");
        let is_told = |event: &Event| matches!(event, Event::Note(_, text) if text.starts_with(&told));
        assert!(left_out == "g1" || events.iter().any(is_told), "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_out_beyond_the_plan_keeps_the_other_one_up() {
    let mut scene = balanced();
    scene.plan.stages[0].lanes.remove(0);
    scene.plan.peers[0].is_worked_on = false;
    take_out(&scene, "g1");
    let (result, _) = scene.run().await;
    let refused = refusals(&result);
    assert!(
        refused[0].contains("g2 was not touched") && refused[0].contains("lb sends it nobody"),
        "{refused:?}"
    );
    assert!(scene.hosts.world().down.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_would_leave_nobody_is_refused_before_anything_is_done() {
    for (is_out, is_dead) in [(true, false), (false, true), (false, false)] {
        let mut scene = balanced();
        scene.plan.stages.clear();
        scene.stage(OnFailure::StopAtBarrier);
        scene.step("lb", Act::Change);
        scene.plan.peers[0].is_worked_on = false;
        scene.plan.drains = true;
        if is_out {
            take_out(&scene, "g1");
        }
        if is_dead {
            scene.hosts.world().dead.insert(host("a"));
        }
        let (result, _) = scene.run().await;
        assert_eq!(result.is_success(), !is_out && !is_dead, "{result:?}");
        if let Some(stopped) = &result.stopped {
            assert!(
                stopped.why.contains("nobody of gateway who serves would be left: g1 ("),
                "{}",
                stopped.why
            );
            assert_eq!(scene.log(), Vec::<String>::new(), "nothing was done");
        }
        scene.settings.limits.outage = true;
        scene.hosts.world().converged.clear();
        assert!(scene.run().await.0.is_success(), "an outage that is wanted");
    }
}

#[tokio::test(start_paused = true)]
async fn two_runs_on_one_role_are_kept_apart_also_where_each_leaves_the_others_node_alone() {
    let mut scene = balanced();
    scene.plan.stages[0].lanes.pop();
    scene.plan.peers[1].is_worked_on = false;
    scene.settings.patience.lock = Duration::from_secs(60);
    scene.hosts.world().held.insert(host("b"), 2);
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "that ends soon: {result:?}");

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
    assert_eq!(scene.log(), Vec::<String>::new(), "nothing was done");
}

#[tokio::test(start_paused = true)]
async fn all_that_were_stopped_are_put_back_when_they_are_healthy() {
    let scene = balanced();
    for node in ["g1", "g2"] {
        take_out(&scene, node);
        scene.hosts.world().down.insert(node.into());
    }
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.hosts.world().rotation.len(), 2, "{:?}", scene.log());
}
