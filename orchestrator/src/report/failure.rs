//! Failure reports: step, hosts, causes, last log lines and hint. Identical failures are grouped.
//! Returns text, prints nothing.

use apim_protocol::outcome::{Failure, Outcome};

use super::node_titles::NodeTitles;
use super::style::{Style, harmless};
use apim_rollout::engine::{HostEnd, RunResult};
use apim_rollout::plan::model::Plan;
use apim_transport::failure::one_line;

/// Maximum number of log lines per failure.
const LOG_LINES: usize = 20;

struct Report {
    hosts: Vec<String>,
    title: String,
    failure: Failure,
    is_ignored: bool,
}

/// Renders a block for each failure and each unreachable host.
#[must_use]
pub fn text(plan: &Plan, result: &RunResult, titles: &NodeTitles, style: Style) -> String {
    let mut all: Vec<Report> = Vec::new();
    for (host, step) in plan.steps_with_rescues().map(|(host, step)| (&host.0, step)) {
        let Some(Outcome::Failed(failure)) = result.outcomes.get(&step.id) else { continue };
        // Outcomes of the apply have replaced those of the survey.
        let report = Report {
            hosts: vec![host.clone()],
            title: without_host_prefix(titles.without_node(step), host).to_owned(),
            failure: failure.clone(),
            is_ignored: step.options.ignore_failure,
        };
        add(&mut all, report);
    }
    for (host, state) in &result.hosts {
        if let HostEnd::Unreachable(unreachable) = &state.end {
            let mut failure = Failure::new(without_host(&one_line(unreachable), &host.0));
            failure.hint.clone_from(&unreachable.hint);
            let title = "connect".to_owned();
            add(&mut all, Report { hosts: vec![host.0.clone()], title, failure, is_ignored: false });
        }
    }
    all.iter().map(|report| block(report, style)).collect()
}

fn add(all: &mut Vec<Report>, new: Report) {
    let same = |report: &&mut Report| {
        report.title == new.title && report.failure == new.failure && report.is_ignored == new.is_ignored
    };
    match all.iter_mut().find(same) {
        Some(report) => report.hosts.extend(new.hosts),
        None => all.push(new),
    }
}

/// Removes the host from the start of a title, so that the same step of two hosts has the same
/// title.
fn without_host_prefix<'a>(title: &'a str, host: &str) -> &'a str {
    title.strip_prefix(host).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(title)
}

fn without_host(text: &str, host: &str) -> String {
    text.replace(host, "the host")
}

fn block(report: &Report, style: Style) -> String {
    let Failure { what, causes, log, hint } = &report.failure;
    let (word, tail) = if report.is_ignored { ("failed (ignored)", "") } else { ("failed", "") };
    let hosts = report.hosts.join(", ");
    let mut text = format!(
        "{} {}: {}{tail}\n",
        style.bad(word),
        harmless(&hosts),
        style.strong(harmless(&report.title))
    );
    indent(&mut text, "  ", &harmless(what));
    for (number, cause) in causes.iter().enumerate() {
        let lead = if number == 0 { "  because: " } else { "           " };
        text.push_str(lead);
        text.push_str(&harmless(cause).replace('\n', "\n           "));
        text.push('\n');
    }
    if !log.is_empty() {
        text.push_str("  last log lines:\n");
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
