//! What failed, for a person at three in the morning: what was attempted, where, the first cause, the last log lines, what to do.
//! Failures that are the same on several hosts are told once. Only makes text.

use apim_protocol::outcome::{Failure, Outcome};

use super::style::{Style, harmless};
use crate::engine::{HostEnd, RunResult};
use crate::plan::model::{Plan, Step};

/// Log lines shown of one failure.
const LOG_LINES: usize = 20;

struct Told {
    hosts: Vec<String>,
    title: String,
    failure: Failure,
    is_ignored: bool,
}

/// Returns a block for each failure, and one for hosts that were not reached; nothing when all is well.
#[must_use]
pub fn text(plan: &Plan, result: &RunResult, style: Style) -> String {
    let mut all: Vec<Told> = Vec::new();
    for (host, step) in plan.steps().map(|(host, step)| (&host.0, step)) {
        let Some(Outcome::Failed(failure)) = result.outcomes.get(&step.id) else { continue };
        // Before an apply the survey's failures are advice; what was run after it replaces them.
        let told = Told {
            hosts: vec![host.clone()],
            title: without_node(&step.title, host, step),
            failure: failure.clone(),
            is_ignored: step.ignore_failure,
        };
        add(&mut all, told);
    }
    for (host, state) in &result.hosts {
        if let HostEnd::Unreachable(why, hint) = &state.end {
            let mut failure = Failure::new(without_host(why, &host.0));
            failure.hint.clone_from(hint);
            let title = "connect".to_owned();
            add(&mut all, Told { hosts: vec![host.0.clone()], title, failure, is_ignored: false });
        }
    }
    all.iter().map(|told| block(told, style)).collect()
}

fn add(all: &mut Vec<Told>, new: Told) {
    let same = |told: &&mut Told| {
        told.title == new.title && told.failure == new.failure && told.is_ignored == new.is_ignored
    };
    match all.iter_mut().find(same) {
        Some(told) => told.hosts.extend(new.hosts),
        None => all.push(new),
    }
}

/// Takes the node's name out of a title, so that the same step of two nodes reads the same.
fn without_node(title: &str, host: &str, step: &Step) -> String {
    let node = step.node.as_ref().map_or(host, |node| node.0.as_str());
    match title.split_once(": ") {
        Some((who, what)) if who.split(' ').any(|word| word == node || word == host) => what.to_owned(),
        _ => title.to_owned(),
    }
}

fn without_host(text: &str, host: &str) -> String {
    text.replace(host, "the host")
}

fn block(told: &Told, style: Style) -> String {
    let Failure { what, causes, log, hint } = &told.failure;
    let (word, tail) = if told.is_ignored { ("failed (ignored)", "") } else { ("failed", "") };
    let hosts = told.hosts.join(", ");
    let mut text =
        format!("{} {}: {}{tail}\n", style.bad(word), harmless(&hosts), style.strong(harmless(&told.title)));
    indent(&mut text, "  ", &harmless(what));
    for (number, cause) in causes.iter().enumerate() {
        let lead = if number == 0 { "  because: " } else { "           " };
        text.push_str(lead);
        text.push_str(&harmless(cause).replace('\n', "\n           "));
        text.push('\n');
    }
    if !log.is_empty() {
        text.push_str("  its last log lines:\n");
        let left_out = log.len().saturating_sub(LOG_LINES);
        for line in log.iter().skip(left_out) {
            text.push_str(&format!("  {} {}\n", style.faint("|"), harmless(line)));
        }
    }
    if let Some(hint) = hint {
        text.push_str(&format!("  {} {}\n", style.good("hint:"), harmless(hint).replace('\n', "\n        ")));
    }
    text.push('\n');
    text
}

fn indent(text: &mut String, lead: &str, words: &str) {
    for line in words.lines() {
        text.push_str(lead);
        text.push_str(line);
        text.push('\n');
    }
}
