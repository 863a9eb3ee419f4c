//! Nodes that do not become healthy from a new release go back: whatever comes of it, the rollout has stopped, and the budget holds.

use apim_protocol::outcome::Outcome;
use proptest::prelude::*;

use super::fake::Act;
use super::*;
use crate::engine::{HostEnd, Standing};

const NODES: [(&str, &str); 3] = [("a", "g1"), ("b", "g2"), ("c", "g3")];

/// Three gateways that move to another release, one at a time, and are to be complete at last.
struct Rollout {
    scene: Scene,
    /// By node: it moves, has started, is complete.
    steps: Vec<[StepId; 3]>,
    /// By node and gate: what it goes back with, and what proves it.
    rescues: Vec<[[StepId; 2]; 2]>,
}

impl Rollout {
    fn new(limit: usize) -> Self {
        let mut scene = Scene::new();
        scene.pool("gateway", limit, &["g1", "g2", "g3"]);
        scene.peers("gateway", &NODES);
        scene.stage(OnFailure::StopAtBarrier).width = Some(limit);
        let mut steps = Vec::new();
        let mut rescues = Vec::new();
        for (host, node) in NODES {
            let goes = scene.step(host, Act::Move(node.into())).id;
            let started = scene.step(host, Act::Prove(node.into())).id;
            steps.push([goes, started, started]);
        }
        scene.stage(OnFailure::StopAtBarrier);
        for (at, (host, node)) in NODES.into_iter().enumerate() {
            steps[at][2] = scene.step(host, Act::Prove(node.into())).id;
        }
        for (at, (_, node)) in NODES.into_iter().enumerate() {
            let mut back = |stage: usize, step: usize| {
                let mut made = [scene.made(Act::Return(node.into())), scene.made(Act::Prove(node.into()))];
                if stage == 0 {
                    made[0].work = returned(Proved::Up).into();
                }
                let ids = [made[0].id, made[1].id];
                scene.plan.stages[stage].lanes[at].steps[step].rescue = made.into();
                ids
            };
            rescues.push([back(0, 1), back(1, 0)]);
        }
        Self { scene, steps, rescues }
    }

    fn act(&self, step: StepId, act: Act) {
        self.scene.hosts.world().acts.insert(step, act);
    }

    /// It never passes that gate.
    fn fails(&self, node: usize, gate: usize) {
        self.act(self.steps[node][gate], Act::ProveInVain(NODES[node].1.into()));
    }

    /// It serves, and is not complete.
    fn is_never_complete(&self, node: usize) {
        self.act(self.steps[node][2], Act::Fail);
    }

    fn is_down(&self, node: usize) -> bool {
        self.scene.hosts.world().down.contains(NODES[node].1)
    }

    fn holds(&self) {
        assert_eq!(self.scene.hosts.world().violations, Vec::<String>::new(), "{:?}", self.scene.log());
    }

    fn at(&self, line: &str) -> usize {
        let log = self.scene.log();
        log.iter().position(|known| known == line).unwrap_or_else(|| panic!("{line}: {log:?}"))
    }

    fn began(&self, step: StepId) -> bool {
        self.scene.log().iter().any(|line| line.ends_with(&format!(": step {}", step.0)))
    }
}

fn standing(result: &RunResult, node: &str) -> Option<Standing> {
    result.nodes.iter().find(|one| one.node.0 == node).map(|one| one.standing.clone())
}

fn end(result: &RunResult, name: &str) -> HostEnd {
    result.hosts[&host(name)].end.clone()
}

#[tokio::test(start_paused = true)]
async fn who_does_not_start_goes_back_and_the_others_stay_as_they_are() {
    let rollout = Rollout::new(1);
    rollout.fails(0, 1);
    let (result, _) = rollout.scene.run().await;
    rollout.holds();
    assert!(!rollout.is_down(0));
    assert_eq!(end(&result, "a"), HostEnd::Failed("step 2".into()), "it has failed all the same");
    assert_eq!(standing(&result, "g1"), Some(Standing::Renewed));
    assert!(matches!(result.outcomes[&rollout.rescues[0][0][0]], Outcome::Changed(_)));
    for (node, name) in [(1, "g2"), (2, "g3")] {
        assert!(!rollout.scene.hosts.world().converged.contains(&rollout.steps[node][0]), "{name} was moved");
        assert_eq!(standing(&result, name), Some(Standing::Untouched));
    }
}

#[tokio::test(start_paused = true)]
async fn who_falls_over_before_anybody_asked_how_it_is_goes_back_too() {
    let rollout = Rollout::new(1);
    rollout.scene.hosts.world().stillborn.insert(rollout.steps[0][0]);
    let (result, _) = rollout.scene.run().await;
    rollout.holds();
    assert!(!rollout.is_down(0), "{:?}", rollout.scene.log());
    assert_eq!(end(&result, "a"), HostEnd::Failed("step 1".into()));
    assert_eq!(standing(&result, "g1"), Some(Standing::Renewed));
    assert_eq!(standing(&result, "g2"), Some(Standing::Untouched), "{:?}", rollout.scene.log());
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_fails_leaves_the_node_down_and_nobody_else() {
    for in_vain in [false, true] {
        let rollout = Rollout::new(1);
        rollout.fails(0, 1);
        let [back, proof] = rollout.rescues[0][0];
        match in_vain {
            false => rollout.act(back, Act::Fail),
            true => rollout.act(proof, Act::ProveInVain("g1".into())),
        }
        let (result, _) = rollout.scene.run().await;
        rollout.holds();
        assert_eq!(rollout.began(proof), in_vain, "what comes behind a failure is not done");
        assert_eq!(rollout.scene.hosts.world().down.len(), 1);
        assert_eq!(standing(&result, "g1"), Some(Standing::Down("it did not become healthy".into())));
        assert!(!result.is_success());
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_lost_on_the_way_back_is_made_anew_and_a_host_that_is_gone_is_told() {
    for is_gone in [false, true] {
        let rollout = Rollout::new(1);
        rollout.fails(0, 1);
        let [back, proof] = rollout.rescues[0][0];
        rollout.act(back, Act::Drop);
        rollout.scene.hosts.world().turns.insert(back, 300);
        let world = Arc::clone(&rollout.scene.hosts.0);
        let (_sender, interrupt) = watch::channel(Interrupt::None);
        let (result, _) = rollout
            .scene
            .run_until(interrupt, |event| {
                if is_gone && matches!(event, Event::StepStarted(_, step, _) if *step == back) {
                    world.lock().unwrap().dead.insert(host("a"));
                }
            })
            .await;
        rollout.holds();
        assert_eq!(rollout.began(proof), !is_gone);
        assert_eq!(rollout.is_down(0), is_gone);
        assert_eq!(matches!(end(&result, "a"), HostEnd::Unreachable(..)), is_gone, "{:?}", end(&result, "a"));
        assert!(!rollout.scene.hosts.world().converged.contains(&rollout.steps[1][0]), "g2 was moved");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_called_off_on_the_way_back_ends() {
    let rollout = Rollout::new(1);
    rollout.fails(0, 1);
    let [back, proof] = rollout.rescues[0][0];
    rollout.scene.hosts.world().turns.insert(back, 50);
    let (stop, interrupt) = watch::channel(Interrupt::None);
    let (result, _) = rollout
        .scene
        .run_until(interrupt, |event| {
            if matches!(event, Event::StepStarted(_, step, _) if *step == back) {
                stop.send_replace(Interrupt::Finish);
            }
        })
        .await;
    rollout.holds();
    assert!(result.interrupted && !rollout.began(proof));
    assert!(!rollout.scene.hosts.world().converged.contains(&rollout.steps[1][0]), "g2 was moved");
}

#[tokio::test(start_paused = true)]
async fn who_moved_and_is_not_complete_goes_back_one_at_a_time() {
    let rollout = Rollout::new(1);
    rollout.is_never_complete(0);
    rollout.is_never_complete(2);
    let (result, _) = rollout.scene.run().await;
    rollout.holds();
    let lines = [0, 2].map(|node: usize| {
        let name = NODES[node].0;
        rollout.rescues[node][1].map(|step| rollout.at(&format!("{name}: step {}", step.0)))
    });
    let back = |node: usize| result.outcomes.get(&rollout.rescues[node][1][0]);
    assert!(matches!((back(0), back(2)), (Some(Outcome::Changed(_)), Some(Outcome::Changed(_)))));
    assert!(lines[0][1] < lines[1][1] || lines[1][1] < lines[0][1]);
    assert!(back(1).is_none(), "g2 is complete");
    assert!(rollout.scene.hosts.world().down.is_empty());
    assert_eq!(end(&result, "b"), HostEnd::Done);
}

#[tokio::test(start_paused = true)]
async fn where_the_first_is_not_complete_after_its_way_back_either_the_next_one_stays() {
    for limit in [1, 2] {
        let rollout = Rollout::new(limit);
        for node in [0, 1, 2] {
            rollout.is_never_complete(node);
            rollout.act(rollout.rescues[node][1][1], Act::ProveInVain(NODES[node].1.into()));
        }
        rollout.scene.run().await;
        rollout.holds();
        assert_eq!(rollout.scene.hosts.world().down.len(), 1, "{limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_did_not_move_in_this_run_stays_where_it_is() {
    let rollout = Rollout::new(1);
    rollout.act(rollout.steps[0][0], Act::Nothing);
    rollout.is_never_complete(0);
    let (result, _) = rollout.scene.run().await;
    rollout.holds();
    assert!(!rollout.began(rollout.rescues[0][1][0]));
    assert_eq!(end(&result, "a"), HostEnd::Failed(format!("step {}", rollout.steps[0][2].0)));
}

#[tokio::test(start_paused = true)]
async fn who_started_and_died_goes_back_although_the_run_never_came_to_its_last_proof() {
    let rollout = Rollout::new(1);
    rollout.scene.hosts.world().deaths.insert("g2".into(), "g1".into());
    let (result, _) = rollout.scene.run().await;
    rollout.holds();
    assert!(!rollout.is_down(0));
    assert_eq!(standing(&result, "g1"), Some(Standing::Renewed));
    assert!(matches!(result.outcomes[&rollout.rescues[0][1][0]], Outcome::Changed(_)));
    assert!(result.outcomes[&rollout.steps[0][2]].is_failure());
    assert!(!rollout.scene.hosts.world().converged.contains(&rollout.steps[2][0]), "g3 was moved");
    assert!(!rollout.began(rollout.rescues[1][1][0]), "g2 is healthy where it is");
}

/// What becomes of a node: at its first gate, at its last, and on the way back.
fn fate() -> impl Strategy<Value = [bool; 4]> {
    [0.7, 0.7, 0.8, 0.8].map(prop::bool::weighted)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_budget_holds_whoever_goes_back(
        limit in 1..3_usize,
        fates in [fate(), fate(), fate()],
        turns in prop::collection::vec(0..40_usize, 18),
        death in prop::option::of((0..3_usize, 0..3_usize)),
    ) {
        let rollout = Rollout::new(limit);
        for (node, [starts, completes, returns, heals]) in fates.into_iter().enumerate() {
            if !starts {
                rollout.fails(node, 1);
            }
            if !completes {
                rollout.is_never_complete(node);
            }
            for [back, proof] in rollout.rescues[node] {
                if !returns {
                    rollout.act(back, Act::Fail);
                }
                if !heals {
                    rollout.act(proof, Act::ProveInVain(NODES[node].1.into()));
                }
            }
        }
        if let Some((when, who)) = death.filter(|(when, who)| when != who) {
            rollout.scene.hosts.world().deaths.insert(NODES[when].1.into(), NODES[who].1.into());
        }
        for (id, turns) in (1..).zip(turns) {
            rollout.scene.hosts.world().turns.insert(StepId(id), turns);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (result, _) = runtime.block_on(rollout.scene.run());
        let world = rollout.scene.hosts.world();
        prop_assert_eq!(&world.violations, &Vec::<String>::new());
        let all_good = fates.iter().all(|[starts, completes, ..]| *starts && *completes);
        prop_assert!(result.is_success() || !all_good || !world.died.is_empty());
        if !all_good {
            prop_assert!(!result.is_success());
        }
    }
}
