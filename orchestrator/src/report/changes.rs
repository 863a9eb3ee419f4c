//! Pending changes per stage, host and step. Returns text, prints nothing.

use std::collections::BTreeMap;

use apim_protocol::outcome::Outcome;

use super::style::{Style, count, harmless};
use apim_rollout::engine::{HostEnd, RunResult};
use apim_rollout::plan::model::{Plan, Stage, Step};
use apim_transport::host::HostName;

/// What to show.
#[derive(Debug, Clone, Copy)]
pub struct Detail {
    /// Show the diffs of text files.
    pub diff: bool,
    /// Also show unchanged steps.
    pub all: bool,
}

/// Renders pending changes with a summary line; after an apply, the changes made.
#[must_use]
pub fn text(plan: &Plan, result: &RunResult, detail: Detail, style: Style) -> String {
    let mut text = String::new();
    let mut hosts: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, stage) in plan.stages.iter().enumerate() {
        text.push_str(&stage_text(number, stage, result, detail, style));
        for lane in &stage.lanes {
            let differ = lane.steps.iter().filter(|step| differs(result, step)).count();
            *hosts.entry(&lane.host.0).or_default() += differ;
        }
    }
    if result.outcomes.values().any(|outcome| matches!(outcome, Outcome::Changed(_))) {
        // Changes were applied, so the recap has the totals.
        return text;
    }
    text.push_str(&verdict(&hosts, result, style));
    text.push('\n');
    text
}

/// Summarizes pending changes and hosts that were not checked. `hosts` maps hosts to pending
/// changes.
fn verdict(hosts: &BTreeMap<&str, usize>, result: &RunResult, style: Style) -> String {
    let steps: usize = hosts.values().sum();
    let concerned = hosts.values().filter(|differ| **differ > 0).count();
    let unknown = hosts.keys().filter(|host| !was_checked(host, result)).count();
    let failed = result.outcomes.values().filter(|outcome| matches!(outcome, Outcome::Failed(_))).count();
    let found = match steps {
        0 => "nothing would change".to_owned(),
        _ => format!("{}, on {}", count(steps, "change"), count(concerned, "host")),
    };
    match (steps, unknown, failed) {
        (0, 0, 0) if !result.interrupted => style.good(found),
        (0, 0, 0) => style.bad("interrupted: pending changes are unknown"),
        (0, 0, failed) => {
            style.bad(format!("no change found; {} could not be checked", count(failed, "step")))
        }
        (_, 0, _) => style.change(found),
        (0, _, _) => {
            let state = if result.interrupted { "not checked" } else { "unreachable" };
            style.bad(format!("{unknown} of {} {state}", count(hosts.len(), "host")))
        }
        _ => {
            let were = if unknown == 1 { "was" } else { "were" };
            style.bad(format!("{found}; {} {were} not checked", count(unknown, "host")))
        }
    }
}

/// Returns whether a host was checked completely.
fn was_checked(host: &str, result: &RunResult) -> bool {
    match result.hosts.get(&HostName(host.to_owned())).map(|host| &host.end) {
        Some(HostEnd::Done | HostEnd::Failed(_)) => true,
        Some(HostEnd::Unreachable(..)) => false,
        // A host behind a failed barrier was checked as well, unless the run was interrupted
        // before.
        Some(HostEnd::Stopped(_)) | None => !result.interrupted,
    }
}

fn differs(result: &RunResult, step: &Step) -> bool {
    matches!(result.outcomes.get(&step.id), Some(Outcome::WouldChange(_)))
}

fn stage_text(number: usize, stage: &Stage, result: &RunResult, detail: Detail, style: Style) -> String {
    let mut body = String::new();
    for lane in &stage.lanes {
        let shown: String = lane
            .steps
            .iter()
            .filter_map(|step| Some(step_text(step, result.outcomes.get(&step.id)?, detail, style)))
            .collect();
        if !shown.is_empty() {
            body.push_str(&format!("  {}\n{shown}", style.strong(harmless(&lane.host.0))));
        }
    }
    if body.is_empty() {
        return body;
    }
    format!("{}\n{body}\n", style.strong(format!("{}. {}", number + 1, harmless(&stage.title))))
}

fn step_text(step: &Step, outcome: &Outcome, detail: Detail, style: Style) -> String {
    let title = harmless(&step.title);
    match outcome {
        Outcome::WouldChange(difference) | Outcome::Changed(difference) => {
            let mut text = format!("    {} {title}\n", style.change("~"));
            for item in difference.statements() {
                text.push_str(&format!("        {}\n", harmless(&item).replace('\n', "\n        ")));
            }
            if let (true, Some(diff)) = (detail.diff, &difference.diff) {
                for line in harmless(diff).lines() {
                    text.push_str(&format!("        {}\n", painted(line, style)));
                }
            }
            text
        }
        Outcome::Failed(failure) => {
            let mut text = format!("    {} {title}: {}\n", style.bad("!"), harmless(&failure.what));
            for cause in &failure.causes {
                text.push_str(&format!("        because: {}\n", harmless(cause)));
            }
            text
        }
        Outcome::Ok | Outcome::Observed(_) if detail.all => format!("    {} {title}\n", style.good("=")),
        Outcome::Skipped(why) if detail.all => {
            format!("    {} {title}: {}\n", style.faint("-"), harmless(why))
        }
        Outcome::Ok | Outcome::Observed(_) | Outcome::Skipped(_) => String::new(),
    }
}

fn painted(line: &str, style: Style) -> String {
    match line.chars().next() {
        Some('+') => style.good(line),
        Some('-') => style.bad(line),
        Some('@') => style.faint(line),
        _ => line.to_owned(),
    }
}
