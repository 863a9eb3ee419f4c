//! After an interrupted apply, the next apply ends in the same state as an undisturbed run.

use std::time::{Duration, Instant};

use apim_tests::poll::until;
use apim_tests::process::Fault;
use apim_tests::tree;
use rustix::process::{Pid, Signal};

use super::Small;

/// The number of moments that each test tries.
const MOMENTS: u32 = 8;

/// A host that is reset to a new machine before each apply.
struct Trial {
    small: Small,
    /// The result of an undisturbed apply, its duration, and the bytes sent to the host.
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

    /// Disturbs an apply to a new machine, applies again, and compares the result.
    fn assert_recovers(&self, what: &str, disturb: impl FnOnce(&Small)) {
        let small = &self.small;
        small.rehearsal.reset().expect("a new machine");
        disturb(small);
        small.host().fault(Fault::None);
        // After its orchestrator died, an agent finishes the current step and keeps the host locked.
        let free = until(Duration::from_secs(30), || agents(small).is_empty());
        assert!(free, "{what}: the agent of the interrupted run is still running");
        let again = small.apply();
        assert_eq!(again.code, 0, "{what}: the next apply failed\n{}", again.text());
        tree::assert_same(&self.expected, &small.tree(), what);
        small.assert_up_to_date();
    }
}

/// The agent processes of the host.
pub(super) fn agents(small: &Small) -> Vec<Pid> {
    let mark = small.host().state.display().to_string();
    apim_tests::process::processes(|arguments| arguments.contains("apim-agent") && arguments.contains(&mark))
}

#[test]
fn recovers_from_killed_orchestrator() {
    let trial = Trial::new();
    for moment in 0..MOMENTS {
        trial.assert_recovers(&format!("orchestrator killed, moment {moment}"), |small| {
            let mut run = small.operator.start(["apply".as_ref(), small.inventory().as_os_str()]);
            let at = run.started_at() + trial.took * (2 * moment + 1) / (2 * MOMENTS);
            until(Duration::from_secs(60), || Instant::now() >= at || run.has_ended());
            run.signal(Signal::KILL);
        });
    }
}

#[test]
fn recovers_from_killed_agent() {
    let trial = Trial::new();
    for moment in 0..MOMENTS {
        trial.assert_recovers(&format!("agent killed, moment {moment}"), |small| {
            let mut run = small.operator.start(["apply".as_ref(), small.inventory().as_os_str()]);
            assert!(until(Duration::from_secs(60), || !agents(small).is_empty() || run.has_ended()));
            let at = Instant::now() + trial.took * moment / MOMENTS;
            until(Duration::from_secs(60), || Instant::now() >= at || run.has_ended());
            for pid in agents(small) {
                // It may have ended already.
                rustix::process::kill_process(pid, Signal::KILL).unwrap_or_default();
            }
            let run = run.wait(Duration::from_secs(120));
            assert!(run.code == 0 || run.code == 1, "{}", run.text());
        });
    }
}

#[test]
fn recovers_from_cut_connection() {
    let trial = Trial::new();
    for moment in 0..MOMENTS {
        trial.assert_recovers(&format!("connection cut, moment {moment}"), |small| {
            small
                .host()
                .fault(Fault::CutAfter(trial.bytes * u64::from(2 * moment + 1) / u64::from(2 * MOMENTS)));
            let run = small.apply();
            assert!(run.code == 0 || run.code == 1, "{}", run.text());
        });
    }
}
