//! Releases of nodes after a run that changes releases, and the reasons for restarts. Returns text,
//! prints nothing.

use apim_protocol::operation::Operation;
use apim_protocol::operation::unit::State;
use apim_protocol::outcome::{Outcome, ReleaseChange};
use serde_json::{Value, json};

use super::node_titles::NodeTitles;
use super::style::{Style, harmless};
use super::table::{Paint, Table};
use apim_rollout::engine::RunResult;
use apim_rollout::plan::model::{Plan, Step};

/// The release of one node after the run.
struct Row {
    node: String,
    release: String,
    /// The result as text.
    words: String,
    /// The result in JSON output.
    state: &'static str,
    paint: Paint,
}

/// Renders a table of the nodes with a release change, unless all of them succeeded without a
/// rollback.
pub(super) fn text(plan: &Plan, result: &RunResult, titles: &NodeTitles, style: Style) -> String {
    let rows = rows(plan, result, titles);
    let mut text = String::new();
    let rolled_back = rolled_back(plan, result);
    if rolled_back || rows.iter().any(|row| row.paint != Paint::Good) {
        let mut table = Table::new(style, &["node", "release", ""]);
        for row in rows {
            table.row([(row.node, Paint::Plain), (row.release, Paint::Plain), (row.words, row.paint)]);
        }
        text.push_str(&format!("{}\n", table.text()));
    }
    if rolled_back {
        let note = "the next apply will upgrade these nodes again unless you change `apim.version`";
        text.push_str(&format!("{} {note}\n\n", style.change("note:")));
    }
    text
}

/// Returns whether a node was rolled back.
fn rolled_back(plan: &Plan, result: &RunResult) -> bool {
    plan.steps_with_rescues()
        .any(|(_, step)| is_revert(step) && matches!(outcome(result, step), Some(Outcome::Changed(_))))
}

/// Returns the table as JSON.
pub(super) fn json(plan: &Plan, result: &RunResult, titles: &NodeTitles) -> Vec<Value> {
    let rows = rows(plan, result, titles).into_iter();
    rows.map(|row| json!({"node": row.node, "release": row.release, "state": row.state})).collect()
}

/// Returns a line with the reason for each restart.
pub(super) fn restarts(plan: &Plan, result: &RunResult, titles: &NodeTitles) -> String {
    let mut text = String::new();
    for (_, step) in plan.steps_with_rescues() {
        let Some(Operation::Unit(_)) = step.operation() else { continue };
        let Some(Outcome::Changed(done)) = outcome(result, step) else { continue };
        let reasons: Vec<&str> = done.restart_reasons().collect();
        if !reasons.is_empty() {
            let moved = done.release().map(|moved| format!("{moved}; ")).unwrap_or_default();
            let line = format!("restarted {}: {moved}{}", titles.of(step), reasons.join("; "));
            text.push_str(&harmless(&line));
            text.push('\n');
        }
    }
    text
}

fn outcome<'a>(result: &'a RunResult, step: &Step) -> Option<&'a Outcome> {
    result.outcomes.get(&step.id)
}

fn was_tried(result: &RunResult, step: &Step) -> bool {
    matches!(outcome(result, step), Some(Outcome::Changed(_) | Outcome::Failed(_)))
}

const fn is_revert(step: &Step) -> bool {
    matches!(step.operation(), Some(Operation::Revert(_)))
}

fn rows(plan: &Plan, result: &RunResult, titles: &NodeTitles) -> Vec<Row> {
    let lanes = plan.lanes();
    let steps: Vec<&Step> = lanes.flat_map(|lane| &lane.steps).collect();
    let mut rows = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let moves = match step.operation() {
            Some(Operation::Unit(unit)) => unit.state == State::Started,
            Some(Operation::Revert(_)) => true,
            _ => false,
        };
        let Some(moved) = result.moves.get(&step.id).filter(|_| moves) else { continue };
        let behind = steps.iter().skip(at + 1).filter(|other| other.node == step.node);
        let behind: Vec<&Step> = behind.copied().collect();
        rows.push(row(result, titles.of(step), step, moved, &behind));
    }
    rows
}

fn row(result: &RunResult, node: &str, step: &Step, moved: &ReleaseChange, behind: &[&Step]) -> Row {
    let row = |release: &str, words: String, state, paint| Row {
        node: node.to_owned(),
        release: release.to_owned(),
        words,
        state,
        paint,
    };
    let ReleaseChange { from, to } = moved;
    let proofs = || behind.iter().filter(|step| step.proves_health);
    // A process that exits immediately fails its start step; the node is rolled back in this case
    // too.
    let rolled_back =
        || proofs().find(|proof| proof.rescue.iter().any(|step| is_revert(step) && was_tried(result, step)));
    match outcome(result, step) {
        Some(Outcome::Changed(_)) => {}
        Some(Outcome::Failed(_)) if rolled_back().is_some() => {}
        Some(Outcome::Ok) => return row(to, "already there".to_owned(), "moved", Paint::Good),
        Some(Outcome::Failed(failure)) => {
            return row(from, format!("not changed: {}", failure.what), "not_moved", Paint::Bad);
        }
        _ => return row(from, "not changed".to_owned(), "not_touched", Paint::Plain),
    }
    let failed = |step: &&&Step| matches!(outcome(result, step), Some(Outcome::Failed(_)));
    let Some(proof) = proofs().find(failed).or_else(rolled_back) else {
        let is_known =
            proofs().any(|step| matches!(outcome(result, step), Some(Outcome::Ok | Outcome::Changed(_))));
        return match is_known || proofs().next().is_none() {
            true => row(to, "changed, healthy".to_owned(), "moved", Paint::Good),
            false => row(to, "changed, health unknown".to_owned(), "unknown", Paint::Change),
        };
    };
    let Some(revert) = proof.rescue.iter().find(|step| is_revert(step)) else {
        return row(to, "changed, NOT healthy".to_owned(), "moved_unhealthy", Paint::Bad);
    };
    let before = proof.rescue.iter().take_while(|step| !is_revert(step));
    let hindered = before.filter_map(|step| match outcome(result, step) {
        Some(Outcome::Failed(failure)) => Some(&failure.what),
        _ => None,
    });
    if let Some(why) = hindered.last() {
        let words =
            format!("changed, NOT healthy; not rolled back, because the release is not the cause: {why}");
        return row(to, words, "moved_unhealthy", Paint::Bad);
    }
    let back = proof.rescue.iter().find(|step| step.proves_health);
    match (outcome(result, revert), back.and_then(|step| outcome(result, step))) {
        (Some(Outcome::Changed(found)), proof) => {
            let there = found.release().map_or_else(|| from.clone(), |moved| moved.to.clone());
            let healthy = matches!(proof, Some(Outcome::Ok | Outcome::Changed(_)));
            let words = format!(
                "{to} did not become healthy; rolled back to {there}, {}",
                if healthy { "healthy" } else { "NOT healthy" }
            );
            let (state, paint) =
                if healthy { ("back", Paint::Change) } else { ("back_unhealthy", Paint::Bad) };
            row(&there, words, state, paint)
        }
        (Some(Outcome::Failed(failure)), _) => {
            row(to, format!("NOT healthy, rollback failed: {}", failure.what), "moved_unhealthy", Paint::Bad)
        }
        _ => row(to, "changed, NOT healthy".to_owned(), "moved_unhealthy", Paint::Bad),
    }
}
