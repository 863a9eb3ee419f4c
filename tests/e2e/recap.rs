//! What a run prints with `-o json` (docs/output.md, "JSON"): events, then the recap.

use std::collections::BTreeMap;

use apim_tests::cli::Run;
use serde::Deserialize;
use serde_json::Value;

/// The options that make a run print what this module reads.
pub(crate) const JSON: [&str; 2] = ["-o", "json"];

/// The last object of a run.
#[derive(Debug, Deserialize)]
pub(crate) struct Recap {
    pub(crate) success: bool,
    pub(crate) hosts: BTreeMap<String, Counts>,
    pub(crate) stopped: Option<Stopped>,
    #[serde(default)]
    pub(crate) probes: Vec<Value>,
}

/// The number of steps of a host, by outcome.
#[derive(Debug, Deserialize)]
pub(crate) struct Counts {
    pub(crate) changed: u64,
    pub(crate) failed: u64,
    pub(crate) unreachable: u64,
    pub(crate) state: String,
}

/// Where and why a rollout stopped.
#[derive(Debug, Deserialize)]
pub(crate) struct Stopped {
    pub(crate) title: String,
    pub(crate) why: String,
}

impl Recap {
    /// Reads the recap of a run.
    ///
    /// # Panics
    /// If the run was not started with [`JSON`], or printed no recap.
    #[track_caller]
    pub(crate) fn of(run: &Run) -> Self {
        let last = events(run).pop().unwrap_or_default();
        assert_eq!(last["event"], "recap", "the last object is not a recap\n{}", run.text());
        serde_json::from_value(last).expect("the documented fields of a recap")
    }

    /// Returns the number of changed steps on all hosts.
    pub(crate) fn changed(&self) -> u64 {
        self.hosts.values().map(|counts| counts.changed).sum()
    }
}

/// Returns the objects that a run printed.
///
/// # Panics
/// If a line of the standard output is not JSON.
#[track_caller]
pub(crate) fn events(run: &Run) -> Vec<Value> {
    let lines = run.stdout.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("not JSON: {error}\n{}", run.text()))
}

/// Returns the number of changed steps on all hosts.
#[track_caller]
pub(crate) fn changed(run: &Run) -> u64 {
    Recap::of(run).changed()
}

/// Returns the titles of the changed steps.
#[track_caller]
pub(crate) fn changed_steps(run: &Run) -> Vec<String> {
    let is_changed = |event: &Value| event["event"] == "step_finished" && event["outcome"] == "changed";
    texts(run, is_changed, "title")
}

/// Returns the texts of the notes.
#[track_caller]
pub(crate) fn notes(run: &Run) -> Vec<String> {
    texts(run, |event| event["event"] == "note", "text")
}

#[track_caller]
fn texts(run: &Run, is_wanted: impl Fn(&Value) -> bool, field: &str) -> Vec<String> {
    let found = events(run).into_iter().filter(is_wanted);
    found.filter_map(|event| event[field].as_str().map(str::to_owned)).collect()
}

/// Asserts that a run ended with exit code 0 and changed nothing.
///
/// # Panics
/// If it changed something; lists the changed steps.
#[track_caller]
pub(crate) fn assert_nothing_changed(run: Run) {
    let run = run.ended_with(0);
    assert_eq!(changed(&run), 0, "changed: {:#?}\n{}", changed_steps(&run), run.text());
}
