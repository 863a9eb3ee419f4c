//! Whatever dies in the middle of an apply, and whenever: applying again ends in the state of an undisturbed run.

use std::time::{Duration, Instant};

use apim_tests::poll::until;
use apim_tests::process::Fault;
use apim_tests::tree;
use rustix::process::{Pid, Signal};

use super::Small;
use crate::changed;

/// How many moments each test tries. Three tests of eight are twenty-four moments.
const MOMENTS: u32 = 8;

/// A host that is applied to again and again, a new machine each time.
struct Trial {
    small: Small,
    /// What an undisturbed apply leaves, how long it takes, and how many bytes go to the host.
    expected: String,
    took: Duration,
    bytes: u64,
}

impl Trial {
    fn new() -> Self {
        let small = Small::new();
        let run = small.apply().ended_with(0);
        let (expected, bytes) = (small.tree(), small.host().traffic().received);
        Self { small, expected, took: run.took, bytes }
    }

    /// Disturbs one apply to a new machine, then applies again, and compares.
    fn recovers(&self, what: &str, disturb: impl FnOnce(&Small)) {
        let small = &self.small;
        small.rehearsal.reset().expect("a new machine");
        disturb(small);
        small.host().fault(Fault::None);
        // An agent whose orchestrator died finishes the step in hand; until then it holds the host, and the next run says so.
        let free = until(Duration::from_secs(30), || agents(small).is_empty());
        assert!(free, "{what}: the agent of the dead run is still there");
        let again = small.apply();
        assert_eq!(again.code, 0, "{what}: the next apply failed\n{}", again.text());
        tree::assert_same(&self.expected, &small.tree(), what);
        let quiet = small.apply().ended_with(0);
        assert_eq!(
            changed(&quiet),
            0,
            "{what}: the apply after that still changes something\n{}",
            quiet.text()
        );
    }
}

/// The agents that run on the host now.
pub(super) fn agents(small: &Small) -> Vec<Pid> {
    let mark = small.host().state.display().to_string();
    apim_tests::process::processes(|arguments| arguments.contains("apim-agent") && arguments.contains(&mark))
}

#[test]
fn of_an_orchestrator_that_is_killed() {
    let trial = Trial::new();
    for moment in 0..MOMENTS {
        trial.recovers(&format!("orchestrator killed, moment {moment}"), |small| {
            let mut run = small.operator.start(["apply".as_ref(), small.inventory().as_os_str()]);
            let at = run.since() + trial.took * (2 * moment + 1) / (2 * MOMENTS);
            until(Duration::from_secs(60), || Instant::now() >= at || run.has_ended());
            run.signal(Signal::KILL);
        });
    }
}

#[test]
fn of_an_agent_that_is_killed() {
    let trial = Trial::new();
    for moment in 0..MOMENTS {
        trial.recovers(&format!("agent killed, moment {moment}"), |small| {
            let mut run = small.operator.start(["apply".as_ref(), small.inventory().as_os_str()]);
            assert!(until(Duration::from_secs(60), || !agents(small).is_empty() || run.has_ended()));
            let at = Instant::now() + trial.took * moment / MOMENTS;
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
    let trial = Trial::new();
    for moment in 0..MOMENTS {
        trial.recovers(&format!("connection cut, moment {moment}"), |small| {
            small
                .host()
                .fault(Fault::CutAfter(trial.bytes * u64::from(2 * moment + 1) / u64::from(2 * MOMENTS)));
            let run = small.apply();
            assert!(run.code == 0 || run.code == 1, "{}", run.text());
        });
    }
}
