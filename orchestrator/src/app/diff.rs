//! `diff`: compare the files on the hosts with the files that apply would write. Identical
//! differences are grouped.

use apim_protocol::operation::Operation;
use apim_protocol::outcome::{Change, Difference, Outcome};
use serde_json::json;

use crate::app::exit::{Exit, Kind};
use crate::app::options::{Files, Plays, Reach, Shown};
use crate::app::rollout::request::{Common, RolloutRequest};
use crate::app::rollout::{self, Finished};
use crate::app::verb::Verb;
use crate::report::differences::{Differing, Direction};
use crate::report::style::count;
use crate::report::{self, differences};
use apim_rollout::engine::HostEnd;

/// Options of `diff`.
#[derive(Debug, Clone)]
pub(crate) struct DiffRequest {
    pub(crate) files: Files,
    pub(crate) plays: Plays,
    pub(crate) reach: Reach,
    pub(crate) shown: Shown,
    /// Reverse the diff: `+` marks lines that only the host has
    pub(crate) reverse: bool,
}

pub(crate) fn run(args: DiffRequest) -> Result<Kind, Exit> {
    let DiffRequest { files, plays, reach, shown, reverse } = args;
    let direction = if reverse { Direction::ToHost } else { Direction::FromHost };
    let common = Common { files, reach, shown };
    let request = RolloutRequest { plays, diff: true, ..RolloutRequest::check(Verb::Diff, common) };
    let mut finished = rollout::run(&request)?;
    if finished.result.interrupted {
        return Ok(Kind::Interrupted);
    }
    let look = finished.look;
    let differing = differing(&finished);
    let others = other_steps(&finished);
    if look.json {
        for one in &differing {
            let Differing { host, path, changes, diff } = one;
            let items: Vec<String> = changes.iter().flat_map(Change::statements).collect();
            let diff = diff.as_ref().map(|diff| differences::turned(diff, direction));
            let object =
                json!({"event": "difference", "host": host, "path": path, "items": items, "diff": diff});
            report::say(&object.to_string())?;
        }
        report::say(&json!({"event": "diff", "files": differing.len(), "other_steps": others}).to_string())?;
    } else {
        report::say(&differences::text(&differing, direction, look.out))?;
        if others > 0 {
            let words =
                format!("{} not related to files; `plan` shows them", count(others, "other pending change"));
            report::remark(&look.err.faint(words));
        }
        // Report unreachable hosts and unreadable files, but not failed health checks.
        finished.result.outcomes.retain(|_, outcome| matches!(outcome, Outcome::Failed(_)));
        let gates: Vec<_> =
            steps(&finished).filter(|(_, step)| path(step).is_none()).map(|(_, step)| step.id).collect();
        finished.result.outcomes.retain(|id, _| !gates.contains(id));
        report::say(&report::failure::text(&finished.plan, &finished.result, &finished.titles, look.out))?;
    }
    let is_unsure = finished.result.hosts.values().any(|host| matches!(host.end, HostEnd::Unreachable(..)))
        || (look.json && has_unread(&finished))
        || (!look.json && !finished.result.outcomes.is_empty());
    Ok(match (is_unsure, differing.is_empty()) {
        (true, _) => Kind::Failed,
        (false, true) => Kind::Converged,
        (false, false) => Kind::Pending,
    })
}

fn steps(finished: &Finished) -> impl Iterator<Item = (&str, &apim_rollout::plan::model::Step)> {
    let lanes = finished.plan.lanes();
    lanes.flat_map(|lane| lane.steps.iter().map(|step| (lane.host.0.as_str(), step)))
}

/// Returns whether a file could not be read.
fn has_unread(finished: &Finished) -> bool {
    steps(finished).any(|(_, step)| {
        path(step).is_some() && matches!(finished.result.outcomes.get(&step.id), Some(Outcome::Failed(_)))
    })
}

fn differing(finished: &Finished) -> Vec<Differing> {
    let mut found: Vec<Differing> = Vec::new();
    for (host, step) in steps(finished) {
        let (Some(path), Some(Outcome::WouldChange(difference))) =
            (path(step), finished.result.outcomes.get(&step.id))
        else {
            continue;
        };
        let Difference { changes, diff } = difference.clone();
        if matches!(step.operation(), Some(Operation::Unit(_))) && diff.is_none() {
            continue;
        }
        let one = Differing { host: host.to_owned(), path, changes, diff };
        // Two steps may manage the same file.
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

/// Counts pending changes that are not files.
fn other_steps(finished: &Finished) -> usize {
    let differs = |step: &apim_rollout::plan::model::Step| {
        matches!(finished.result.outcomes.get(&step.id), Some(Outcome::WouldChange(_)))
    };
    steps(finished).filter(|(_, step)| path(step).is_none() && differs(step)).count()
}

/// Returns the file that a step manages, if any.
fn path(step: &apim_rollout::plan::model::Step) -> Option<String> {
    step.operation().and_then(Operation::file)
}
