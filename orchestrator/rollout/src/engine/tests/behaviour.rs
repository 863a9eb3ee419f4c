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
async fn lanes_wait_at_the_barrier() {
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
async fn failure_stops_its_lane_and_the_run_at_the_barrier() {
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
    assert_eq!(scene.log().len(), 3, "neither step 2 nor step 5 started: {:?}", scene.log());
}

#[tokio::test(start_paused = true)]
async fn an_ignored_failure_stops_nothing() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Fail).options.ignore_failure = true;
    scene.step("a", Act::Change);
    let (result, _) = scene.run().await;
    assert!(result.is_success());
    let tally = result.hosts[&host("a")].tally;
    assert_eq!((tally.ignored, tally.changed, tally.failed), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn failed_step_is_retried() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    let step = scene.step("a", Act::FailTimes(2));
    (step.options.retries, step.options.delay_secs) = (2, 5);
    scene.step("a", Act::Change);
    let (result, _) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(scene.log(), ["a: step 1", "a: step 1", "a: step 1", "a: step 2"]);
    assert_eq!(result.hosts[&host("a")].tally.failed, 0);

    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::FailTimes(3)).options.retries = 2;
    let (result, _) = scene.run().await;
    assert_eq!(result.hosts[&host("a")].tally.failed, 1);
}

#[tokio::test(start_paused = true)]
async fn dead_host_stops_run_after_the_stage() {
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
async fn failed_hosts_below_limit_drop_out() {
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
async fn stop_at_once_starts_no_further_lane() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtOnce).width = Some(1);
    scene.step("a", Act::Fail);
    scene.step("b", Act::Change);
    let (result, _) = scene.run().await;
    assert_eq!(scene.log().len(), 1);
    assert_eq!(result.hosts[&host("b")].end, HostEnd::Stopped(Some("stage 1".into())));
}

#[tokio::test(start_paused = true)]
async fn stage_width_limits_lanes() {
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
async fn content_is_sent_only_to_its_host() {
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
async fn lost_link_is_reopened() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    scene.step("a", Act::Drop);
    scene.step("a", Act::Change);
    // The old agent finishes its current step and keeps the lock until then.
    let (result, events) = scene.run().await;
    assert!(result.is_success(), "{result:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Reconnecting(..))));
    assert_eq!(scene.log(), ["a: step 1", "a: step 2", "a: step 2", "a: step 3"]);
}

#[tokio::test(start_paused = true)]
async fn second_lost_link_makes_host_unreachable() {
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
async fn locked_host_is_waited_for() {
    let mut scene = Scene::new();
    scene.settings.timeouts.lock = Duration::from_secs(10);
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    scene.hosts.world().held.insert(host("a"), 1);
    let (result, events) = scene.run().await;
    assert!(result.is_success());
    assert!(events.iter().any(|e| matches!(e, Event::Note(_, text) if text.contains("ops@elsewhere"))));
}

#[tokio::test(start_paused = true)]
async fn locked_host_stops_run_before_any_change() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    scene.step("b", Act::Change);
    scene.hosts.world().held.insert(host("a"), 1000);
    let (result, events) = scene.run().await;
    let HostEnd::Unreachable(failure) = &result.hosts[&host("a")].end else { panic!("{result:?}") };
    assert!(failure.what.contains("ops@elsewhere") && failure.hint.is_some());
    assert!(matches!(result.hosts[&host("b")].end, HostEnd::Stopped(_)), "the other hosts are not changed");
    assert!(!events.iter().any(|event| matches!(event, Event::StageStarted(..) | Event::StepStarted(..))));
    assert!(result.stopped.is_some_and(|stopped| stopped.why.starts_with("another run has locked a;")));
}

#[tokio::test(start_paused = true)]
async fn first_interrupt_lets_current_steps_finish() {
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
    assert_eq!(result.hosts[&host("a")].tally.changed, 1, "the current step was finished");
    assert_eq!(result.hosts[&host("a")].end, HostEnd::Stopped(Some("step 2".into())));
}

#[tokio::test(start_paused = true)]
async fn second_interrupt_quits_immediately() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Wait);
    let (stop, interrupt) = watch::channel(Interrupt::None);
    let (result, _) = scene
        .run_until(interrupt, |event| {
            if matches!(event, Event::StepStarted(..)) {
                stop.send_replace(Interrupt::Quit);
            }
        })
        .await;
    assert!(result.interrupted && !result.is_success());
}

#[tokio::test(start_paused = true)]
async fn five_hundred_unchanged_hosts_are_fast() {
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
    // A debug build on a busy machine. Release builds are measured separately.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn valid_survey_results_are_reused() {
    let mut scene = Scene::new();
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Change);
    scene.stage(OnFailure::StopAtBarrier);
    scene.step("a", Act::Nothing);
    scene.step("b", Act::Nothing);
    // Steps that check peers run again: the peers may have changed.
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
    assert_eq!(ended, 5, "reused steps have a result");
    let counted: usize = result.hosts.values().map(|host| host.tally.ok + host.tally.changed).sum();
    assert_eq!(counted, 5);
}

#[tokio::test(start_paused = true)]
async fn local_change_invalidates_survey() {
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
