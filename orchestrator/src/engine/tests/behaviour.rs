//! Barriers, failures, dead hosts, lost links, interrupts, content.

use std::time::{Duration, Instant};

use apim_protocol::operation::Mode;
use apim_protocol::operation::wait::{Condition, Wait};
use apim_protocol::outcome::Outcome;
use tokio::sync::watch;

use super::fake::Act;
use super::*;
use crate::engine::HostEnd;

#[tokio::test(start_paused = true)]
async fn nothing_to_do_runs_no_stage() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Nothing);
    scene.step("b", Act::Nothing);
    let (result, events) = scene.run().await;
    assert!(result.nothing_to_do && result.is_success());
    assert_eq!(result.hosts[&host("a")].tally.ok, 1);
    assert_eq!(scene.log(), Vec::<String>::new(), "nothing was applied");
    assert!(events.iter().any(|event| matches!(event, Event::StepFinished(..))));
}

#[tokio::test(start_paused = true)]
async fn a_second_apply_changes_nothing() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    scene.step("a", Act::Nothing);
    let (first, _) = scene.run().await;
    let (second, _) = scene.run().await;
    assert_eq!((first.changes(), second.changes()), (1, 0));
    assert!(second.nothing_to_do);
}

#[tokio::test(start_paused = true)]
async fn check_mode_shows_and_changes_nothing() {
    let mut scene = Scene::new();
    scene.settings.mode = Mode::Check;
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    let (result, _) = scene.run().await;
    assert_eq!(result.changes(), 1);
    assert!(matches!(result.outcomes[&StepId(1)], Outcome::WouldChange(_)));
    assert_eq!(scene.log(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn no_lane_passes_the_barrier_before_all_are_there() {
    let mut scene = Scene::new();
    for _ in 0..2 {
        scene.stage(OnFailure::StopAtBarrier);
        for name in ["a", "b", "c"] {
            let id = scene.step(name, Act::Change).id;
            scene.hosts.world().turns.insert(id, if name == "b" { 200 } else { 0 });
        }
    }
    let (result, _) = scene.run().await;
    assert!(result.is_success());
    let stages: Vec<u32> =
        scene.log().iter().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert!(stages[..3].iter().all(|id| *id <= 3), "the first stage comes first: {stages:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_stops_its_lane_and_the_run_at_the_barrier_but_not_the_others() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Fail);
    scene.step("a", Act::Change);
    scene.step("b", Act::Change);
    scene.step("b", Act::Change);
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("b", Act::Change);
    let (result, _) = scene.run().await;
    assert_eq!(result.hosts[&host("a")].end, HostEnd::Failed("step 1".into()));
    assert_eq!(result.hosts[&host("a")].tally.failed, 1);
    assert_eq!(result.hosts[&host("b")].tally.changed, 2);
    assert_eq!(result.hosts[&host("b")].end, HostEnd::Stopped(Some("stage 2".into())));
    assert_eq!(result.stopped.unwrap().stage, 0);
    assert_eq!(scene.log().len(), 3, "neither step 2 nor step 5 began: {:?}", scene.log());
}

#[tokio::test(start_paused = true)]
async fn an_ignored_failure_stops_nothing() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Fail).ignore_failure = true;
    scene.step("a", Act::Change);
    let (result, _) = scene.run().await;
    assert!(result.is_success());
    let tally = result.hosts[&host("a")].tally;
    assert_eq!((tally.ignored, tally.changed, tally.failed), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_is_tried_again_as_often_as_it_says() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    let step = scene.step("a", Act::FailTimes(2));
    (step.retries, step.delay_secs) = (2, 5);
    scene.step("a", Act::Change);
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.log(), ["a: step 1", "a: step 1", "a: step 1", "a: step 2"]);
    assert_eq!(result.hosts[&host("a")].tally.failed, 0);

    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::FailTimes(3)).retries = 2;
    let (result, _) = scene.run().await;
    assert_eq!(result.hosts[&host("a")].tally.failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_host_stops_the_run_behind_the_stage_of_the_others() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    scene.step("b", Act::Change);
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("b", Act::Change);
    scene.hosts.world().dead.insert(host("a"));
    let (result, _) = scene.run().await;
    assert_eq!(result.hosts[&host("a")].tally.unreachable, 1);
    assert_eq!(result.hosts[&host("b")].tally.changed, 1);
    assert!(result.stopped.is_some() && !result.is_success());
}

#[tokio::test(start_paused = true)]
async fn hosts_below_the_tolerated_share_drop_out() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAbove(50));
    scene.step("a", Act::Fail);
    scene.step("b", Act::Change);
    scene.stage(OnFailure::StopAbove(0));
    scene.step("a", Act::Change);
    scene.step("b", Act::Change);
    let (result, _) = scene.run().await;
    assert!(result.stopped.is_none(), "{:?}", result.stopped);
    assert_eq!(result.hosts[&host("b")].tally.changed, 2);
    assert_eq!(result.hosts[&host("a")].tally.changed, 0);
}

#[tokio::test(start_paused = true)]
async fn stop_at_once_begins_no_further_lane() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtOnce).width = Some(1);
    scene.step("a", Act::Fail);
    scene.step("b", Act::Change);
    let (result, _) = scene.run().await;
    assert_eq!(scene.log().len(), 1);
    assert_eq!(result.hosts[&host("b")].end, HostEnd::Stopped(Some("stage 1".into())));
}

#[tokio::test(start_paused = true)]
async fn no_more_lanes_at_once_than_the_stage_is_wide() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier).width = Some(2);
    for name in ["a", "b", "c", "d", "e"] {
        let id = scene.step(name, Act::Change).id;
        scene.hosts.world().turns.insert(id, 50);
    }
    let (result, _) = scene.run().await;
    assert!(result.is_success());
    assert_eq!(scene.hosts.world().most_at_work, 2);
}

#[tokio::test(start_paused = true)]
async fn content_is_sent_when_asked_for_and_only_to_whom_it_belongs() {
    use apim_protocol::operation::file::{File, Show};
    use apim_protocol::value::{Content, Owner};
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    let mine = scene.plan.contents.add(vec![7; 700_000]);
    let secret_of_another = scene.plan.contents.add(b"keystore".to_vec());
    let file = |content: Content| {
        let path = AbsPath::parse("/file").unwrap();
        Operation::File(File { path, content, mode: None, owner: Owner::default(), show: Show::Nothing })
    };
    scene.step("a", Act::Fetch(mine)).work = file(mine).into();
    scene.step("b", Act::Fetch(secret_of_another)).work = file(mine).into();
    let (result, events) = scene.run().await;
    assert_eq!(result.hosts[&host("a")].tally.changed, 1);
    assert_eq!(result.hosts[&host("b")].tally.failed, 1);
    assert!(events.iter().any(|event| matches!(event, Event::Sending(_, _, 700_000, 700_000))));
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_is_made_again_and_the_lane_goes_on() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    scene.step("a", Act::Drop);
    scene.step("a", Act::Change);
    // The old agent finishes its step in hand and holds the lock meanwhile.
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Reconnecting(..))));
    assert_eq!(scene.log(), ["a: step 1", "a: step 2", "a: step 2", "a: step 3"]);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_lost_twice_makes_the_host_unreachable() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Drop);
    scene.step("a", Act::Drop);
    scene.step("a", Act::Change);
    let (result, _) = scene.run().await;
    assert!(matches!(result.hosts[&host("a")].end, HostEnd::Unreachable(..)));
    assert_eq!(result.hosts[&host("a")].tally.unreachable, 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_another_run_holds_is_waited_for() {
    let mut scene = Scene::new();
    scene.settings.patience.lock = Duration::from_secs(10);
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    scene.hosts.world().held.insert(host("a"), 1);
    let (result, events) = scene.run().await;
    assert!(result.is_success());
    assert!(events.iter().any(|e| matches!(e, Event::Note(_, text) if text.contains("ops@elsewhere"))));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stays_held_is_not_touched() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    scene.step("b", Act::Change);
    scene.hosts.world().held.insert(host("a"), 1000);
    let (result, events) = scene.run().await;
    let HostEnd::Unreachable(why, hint) = &result.hosts[&host("a")].end else { panic!("{result:?}") };
    assert!(why.contains("ops@elsewhere") && hint.is_some());
    assert!(matches!(result.hosts[&host("b")].end, HostEnd::Stopped(_)), "the others are left alone, too");
    assert!(!events.iter().any(|event| matches!(event, Event::StageStarted(..) | Event::StepStarted(..))));
    assert!(result.stopped.is_some_and(|stopped| stopped.why.starts_with("another run holds a;")));
}

#[tokio::test(start_paused = true)]
async fn the_first_interrupt_lets_steps_in_hand_finish() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Wait);
    scene.step("a", Act::Change);
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    let (stop, interrupt) = watch::channel(Interrupt::None);
    let (result, _) = scene
        .run_until(interrupt, |event| {
            if matches!(event, Event::StepStarted(..)) {
                stop.send_replace(Interrupt::Finish);
            }
        })
        .await;
    assert!(result.interrupted);
    assert_eq!(result.hosts[&host("a")].tally.changed, 1, "the step in hand was finished");
    assert_eq!(result.hosts[&host("a")].end, HostEnd::Stopped(Some("step 2".into())));
}

#[tokio::test(start_paused = true)]
async fn the_second_interrupt_leaves_at_once() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Wait);
    let (stop, interrupt) = watch::channel(Interrupt::None);
    let (result, _) = scene
        .run_until(interrupt, |event| {
            if matches!(event, Event::StepStarted(..)) {
                stop.send_replace(Interrupt::Leave);
            }
        })
        .await;
    assert!(result.interrupted && !result.is_success());
}

#[tokio::test(start_paused = true)]
async fn five_hundred_hosts_with_nothing_to_do_take_little_time() {
    let mut scene = Scene::new();
    for _ in 0..5 {
        scene.stage(OnFailure::StopAtBarrier);
        for number in 0..500 {
            for _ in 0..5 {
                scene.step(&format!("h{number}"), Act::Nothing);
            }
        }
    }
    let begun = Instant::now();
    let (result, _) = scene.run().await;
    assert!(result.nothing_to_do);
    // A debug build on a busy machine; the release build is measured elsewhere.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_the_survey_settled_is_not_looked_at_again_where_nothing_was_done() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Nothing);
    scene.step("b", Act::Nothing);
    // What looks at peers is looked at again: they may have been worked on.
    scene.stage(OnFailure::StopAtBarrier);
    let step = scene.step("c", Act::Nothing);
    step.work = peer("10.0.0.1").into();
    let step = scene.step("d", Act::Nothing);
    step.work = Operation::Wait(Box::new(Wait {
        conditions: vec![Condition::Exists(AbsPath::parse("/ready").unwrap())],
        ..wait()
    }))
    .into();
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.log(), ["a: step 1", "a: step 2", "c: step 4"]);
    let ended = events.iter().filter(|event| matches!(event, Event::StepFinished(..))).count();
    assert_eq!(ended, 5, "what was not looked at again has its result all the same");
    let counted: usize = result.hosts.values().map(|host| host.tally.ok + host.tally.changed).sum();
    assert_eq!(counted, 5);
}

#[tokio::test(start_paused = true)]
async fn after_something_was_done_on_this_machine_everything_is_looked_at_again() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("localhost", Act::Change);
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("b", Act::Nothing);
    let (result, _) = scene.run().await;
    assert!(result.is_success());
    assert_eq!(scene.log(), ["localhost: step 1", "b: step 2"]);
}

fn wait() -> Wait {
    Wait {
        awaited: "it".into(),
        conditions: Vec::new(),
        deadline_secs: 1,
        service: None,
        settle_secs: 0,
        remedy: None,
    }
}

fn peer(host: &str) -> Operation {
    let conditions = vec![Condition::Tcp { host: host.into(), port: 1 }];
    Operation::Wait(Box::new(Wait { conditions, ..wait() }))
}
