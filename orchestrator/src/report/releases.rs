//! Which node runs which release after a run that was to move some, and why nodes were restarted. Only makes text.

use apim_protocol::operation::Operation;
use apim_protocol::operation::unit::State;
use apim_protocol::outcome::{Outcome, ReleaseChange};
use serde_json::{Value, json};

use super::style::{Style, harmless};
use super::table::{Paint, Table};
use crate::engine::RunResult;
use crate::plan::model::{Plan, Step};

/// Where one node stands.
struct Row {
    node: String,
    release: String,
    /// What came of it, for people.
    words: String,
    /// The same, for programs.
    state: &'static str,
    paint: Paint,
}

/// Returns a table of the nodes that were to move, where not every one of them simply did; with what moved by itself.
pub(super) fn text(plan: &Plan, result: &RunResult, style: Style) -> String {
    let rows = rows(plan, result);
    let mut text = String::new();
    let went_back = went_back(plan, result);
    if went_back || rows.iter().any(|row| row.paint != Paint::Good) {
        let mut table = Table::new(style, &["node", "release", ""]);
        for row in rows {
            table.row([(row.node, Paint::Plain), (row.release, Paint::Plain), (row.words, row.paint)]);
        }
        text.push_str(&format!("{}\n", table.text()));
    }
    if went_back {
        let note = "who went back goes forward again with the next apply, as long as the inventory names the newer release";
        text.push_str(&format!("{} {note}\n\n", style.change("note:")));
    }
    text
}

/// Says whether a node runs an older release than it did.
fn went_back(plan: &Plan, result: &RunResult) -> bool {
    plan.steps()
        .any(|(_, step)| is_revert(step) && matches!(outcome(result, step), Some(Outcome::Changed(_))))
}

/// Returns the same for programs.
pub(super) fn json(plan: &Plan, result: &RunResult) -> Vec<Value> {
    let rows = rows(plan, result).into_iter();
    rows.map(|row| json!({"node": row.node, "release": row.release, "state": row.state})).collect()
}

/// Returns why nodes were restarted, a line for each.
pub(super) fn restarts(plan: &Plan, result: &RunResult) -> String {
    let mut text = String::new();
    for (_, step) in plan.steps() {
        let Some(Operation::Unit(_)) = step.operation() else { continue };
        let Some(Outcome::Changed(done)) = outcome(result, step) else { continue };
        let reasons: Vec<&str> = done.restart_reasons().collect();
        if !reasons.is_empty() {
            let moved = done.release().map(|moved| format!("{moved}; ")).unwrap_or_default();
            let line = format!("restarted {}: {moved}{}", node_of(step), reasons.join("; "));
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

/// The words before the colon are the node's.
fn node_of(step: &Step) -> String {
    step.title.split_once(": ").map_or(step.title.as_str(), |(node, _)| node).to_owned()
}

fn rows(plan: &Plan, result: &RunResult) -> Vec<Row> {
    let lanes = plan.stages.iter().flat_map(|stage| &stage.lanes);
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
        rows.push(row(result, step, moved, &behind.copied().collect::<Vec<_>>()));
    }
    rows
}

fn row(result: &RunResult, step: &Step, moved: &ReleaseChange, behind: &[&Step]) -> Row {
    let row = |release: &str, words: String, state, paint| Row {
        node: node_of(step),
        release: release.to_owned(),
        words,
        state,
        paint,
    };
    let ReleaseChange { from, to } = moved;
    let proofs = || behind.iter().filter(|step| step.proves_health);
    // A process that fell over at once fails the step that starts it, and its node goes back just the same.
    let went_back =
        || proofs().find(|proof| proof.rescue.iter().any(|step| is_revert(step) && was_tried(result, step)));
    match outcome(result, step) {
        Some(Outcome::Changed(_)) => {}
        Some(Outcome::Failed(_)) if went_back().is_some() => {}
        Some(Outcome::Ok) => return row(to, "was there already".to_owned(), "moved", Paint::Good),
        Some(Outcome::Failed(failure)) => {
            return row(from, format!("not moved: {}", failure.what), "not_moved", Paint::Bad);
        }
        _ => return row(from, "not touched".to_owned(), "not_touched", Paint::Plain),
    }
    let failed = |step: &&&Step| matches!(outcome(result, step), Some(Outcome::Failed(_)));
    let Some(proof) = proofs().find(failed).or_else(went_back) else {
        let is_known =
            proofs().any(|step| matches!(outcome(result, step), Some(Outcome::Ok | Outcome::Changed(_))));
        return match is_known || proofs().next().is_none() {
            true => row(to, "moved, healthy".to_owned(), "moved", Paint::Good),
            false => {
                row(to, "moved; whether it is healthy is not known".to_owned(), "unknown", Paint::Change)
            }
        };
    };
    let Some(revert) = proof.rescue.iter().find(|step| is_revert(step)) else {
        return row(to, "moved, NOT healthy".to_owned(), "moved_unhealthy", Paint::Bad);
    };
    let before = proof.rescue.iter().take_while(|step| !is_revert(step));
    let hindered = before.filter_map(|step| match outcome(result, step) {
        Some(Outcome::Failed(failure)) => Some(&failure.what),
        _ => None,
    });
    if let Some(why) = hindered.last() {
        let words =
            format!("moved, NOT healthy; not brought back, because its release is not at fault: {why}");
        return row(to, words, "moved_unhealthy", Paint::Bad);
    }
    let back = proof.rescue.iter().find(|step| step.proves_health);
    match (outcome(result, revert), back.and_then(|step| outcome(result, step))) {
        (Some(Outcome::Changed(found)), proof) => {
            let there = found.release().map_or_else(|| from.clone(), |moved| moved.to.clone());
            let healthy = matches!(proof, Some(Outcome::Ok | Outcome::Changed(_)));
            let words = format!(
                "{to} did not become healthy; back on {there}, {}",
                if healthy { "healthy" } else { "NOT healthy" }
            );
            let (state, paint) =
                if healthy { ("back", Paint::Change) } else { ("back_unhealthy", Paint::Bad) };
            row(&there, words, state, paint)
        }
        (Some(Outcome::Failed(failure)), _) => row(
            to,
            format!("NOT healthy, and not brought back: {}", failure.what),
            "moved_unhealthy",
            Paint::Bad,
        ),
        _ => row(to, "moved, NOT healthy".to_owned(), "moved_unhealthy", Paint::Bad),
    }
}
