//! Whatever dies in the middle of an apply, and whenever: applying again ends in the state of an undisturbed run.

use std::time::{Duration, Instant};

use apim_tests::poll::until;
use apim_tests::process::Fault;
use apim_tests::tree;
use rustix::process::{Pid, Signal};

use super::Small;

/// How many moments each test tries. Three tests of eight are twenty-four moments.
const MOMENTS: u32 = 8;

/// Applies once undisturbed; returns what that left, how long it took and how many bytes went to the host.
fn undisturbed() -> (String, Duration, u64) {
    let small = Small::new();
    let run = small.operator.run(["apply".as_ref(), small.inventory().as_os_str()]).ended_with(0);
    (normal(&small), run.took, small.host().traffic().received)
}

/// The tree without the names of this lab's own folder, which differ from lab to lab.
fn normal(small: &Small) -> String {
    small.tree().replace(&small.rehearsal.lab.folder().display().to_string(), "LAB")
}

/// Disturbs one apply, then applies until it is quiet, and compares.
fn recovers(expected: &str, what: &str, disturb: impl FnOnce(&Small)) {
    let small = Small::new();
    disturb(&small);
    small.host().fault(Fault::None);
    let inventory = small.inventory();
    // An agent whose orchestrator died finishes the step in hand; until then it holds the host, and says so.
    let again = small.operator.run(["apply".as_ref(), inventory.as_os_str()]);
    let again = if again.code == 0 {
        again
    } else {
        let free = until(Duration::from_secs(30), || agents(&small).is_empty());
        assert!(free, "{what}: the agent of the dead run is still there");
        small.operator.run(["apply".as_ref(), inventory.as_os_str()])
    };
    assert_eq!(again.code, 0, "{what}: the next apply failed\n{}", again.text());
    tree::assert_same(expected, &normal(&small), what);
    let _ =
        small.operator.run(["plan".as_ref(), inventory.as_os_str(), "--exit-code".as_ref()]).ended_with(0);
}

/// The agents that run on the host now.
fn agents(small: &Small) -> Vec<Pid> {
    let mark = small.host().state.display().to_string();
    apim_tests::process::processes(|arguments| arguments.contains("apim-agent") && arguments.contains(&mark))
}

#[test]
fn of_an_orchestrator_that_is_killed() {
    let (expected, took, _) = undisturbed();
    for moment in 0..MOMENTS {
        recovers(&expected, &format!("orchestrator killed, moment {moment}"), |small| {
            let mut run = small.operator.start(["apply".as_ref(), small.inventory().as_os_str()]);
            let at = run.since() + took * (2 * moment + 1) / (2 * MOMENTS);
            until(Duration::from_secs(60), || Instant::now() >= at || run.has_ended());
            run.signal(Signal::KILL);
        });
    }
}

#[test]
fn of_an_agent_that_is_killed() {
    let (expected, took, _) = undisturbed();
    for moment in 0..MOMENTS {
        recovers(&expected, &format!("agent killed, moment {moment}"), |small| {
            let mut run = small.operator.start(["apply".as_ref(), small.inventory().as_os_str()]);
            assert!(until(Duration::from_secs(60), || !agents(small).is_empty() || run.has_ended()));
            let at = Instant::now() + took * moment / MOMENTS;
            until(Duration::from_secs(60), || Instant::now() >= at || run.has_ended());
            for pid in agents(small) {
                // Gone already is as good.
                rustix::process::kill_process(pid, Signal::KILL).unwrap_or_default();
            }
            let run = run.wait(Duration::from_secs(120));
            assert!(run.code == 0 || run.code == 1, "{}", run.text());
        });
    }
}

#[test]
fn of_a_connection_that_is_cut() {
    let (expected, _, bytes) = undisturbed();
    for moment in 0..MOMENTS {
        recovers(&expected, &format!("connection cut, moment {moment}"), |small| {
            small.host().fault(Fault::CutAfter(bytes * u64::from(2 * moment + 1) / u64::from(2 * MOMENTS)));
            let run = small.operator.run(["apply".as_ref(), small.inventory().as_os_str()]);
            assert!(run.code == 0 || run.code == 1, "{}", run.text());
        });
    }
}
