//! Results of availability probes. Returns text, prints nothing.

use std::time::Duration;

use serde_json::Value;

use super::style::{Style, count, harmless, time};
use apim_rollout::probe::{Failures, Gap, Slow, Sum};

/// Renders the probe results for the recap and for run records.
#[must_use]
pub fn text(probed: &[Sum], style: Style) -> String {
    let mut text = String::new();
    for sum in probed {
        let line = harmless(&head(sum)).into_owned();
        let line = if sum.is_good() { line } else { style.bad(line) };
        text.push_str(&format!("{line}\n"));
        for line in details(sum) {
            text.push_str(&format!("    {}\n", harmless(&line)));
        }
    }
    text
}

fn head(sum: &Sum) -> String {
    let Sum { url, sent, failed, again, left_out, .. } = sum;
    if sum.since.is_none() {
        let why = sum.refusal.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        return format!("probe {url}: no good answer during the run{why}; availability is unknown");
    }
    let failed = if *failed == 0 { "none failed".to_owned() } else { format!("{failed} failed") };
    let mut head = format!("probe {url}: {}, {failed}", requests(*sent));
    if *again > 0 {
        head.push_str(&format!(", {again} retried"));
    }
    if *left_out > 0 {
        head.push_str(&format!(", {left_out} in progress at the end"));
    }
    head
}

fn details(sum: &Sum) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(Gap { at, seconds, failed, doing, open }) = &sum.gap {
        let what = if *open { "no good answer until the end for" } else { "longest gap" };
        let failed = if *failed > 0 { format!(", {failed} failed") } else { String::new() };
        lines.push(format!("{what} {}{failed}: from {}, {doing}", short(*seconds), clock(at)));
    }
    if let Some(Slow { at, seconds, doing }) = &sum.slowest {
        lines.push(format!("slowest answer {}: {}, {doing}", short(*seconds), clock(at)));
    }
    for Failures { at, why, doing, count } in &sum.failures {
        lines.push(format!("{count} × {why}: from {}, {doing}", clock(at)));
    }
    if sum.more > 0 {
        lines.push(format!("{} failed for other reasons", sum.more));
    }
    lines
}

/// Returns a summary line if a probe failed.
#[must_use]
pub fn verdict(probed: &[Sum]) -> Option<String> {
    let (sent, failed) =
        probed.iter().fold((0, 0), |(sent, failed), sum| (sent + sum.sent, failed + sum.failed));
    let silent = probed.iter().filter(|sum| sum.since.is_none()).count();
    let mut parts = Vec::new();
    if failed > 0 {
        parts.push(format!(
            "{failed} of {sent} probe {} failed",
            if sent == 1 { "request" } else { "requests" }
        ));
    }
    if silent > 0 {
        parts.push(format!("{} without a good answer", count(silent, "URL")));
    }
    (!parts.is_empty()).then(|| format!("{} (exit 1)", parts.join(", ")))
}

/// Returns the probe results as JSON.
pub(super) fn json(probed: &[Sum]) -> Vec<Value> {
    probed.iter().filter_map(|sum| serde_json::to_value(sum).ok()).collect()
}

fn requests(number: u64) -> String {
    if number == 1 { "1 request".to_owned() } else { format!("{number} requests") }
}

/// Formats a time; below one second in milliseconds.
fn short(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{:.0} ms", seconds * 1000.0);
    }
    time(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// Returns the time of day of a time stamp.
fn clock(at: &str) -> String {
    let clock = at.split('T').nth(1).and_then(|clock| clock.split('.').next()).unwrap_or("?");
    format!("{clock} UTC")
}
