//! `diff`: compare the files on the hosts with the files that apply would write. Identical
//! differences are grouped.

use apim_protocol::operation::Operation;
use apim_protocol::outcome::{Change, Difference, Outcome};
use serde_json::json;

use super::exit::{Exit, Kind};
use super::options::{Files, Plays, Reach, Shown};
use super::pipeline::{self, Ended, Wanted};
use crate::report::differences::{Differing, Direction};
use crate::report::style::count;
use crate::report::{self, differences};
use apim_rollout::engine::HostEnd;

/// Options of `diff`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    plays: Plays,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pub(super) shown: Shown,
    /// Reverse the diff: `+` marks lines that only the host has
    #[arg(short = 'R', long)]
    reverse: bool,
}

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { files, plays, reach, shown, reverse } = args;
    let direction = if reverse { Direction::ToHost } else { Direction::FromHost };
    let wanted = Wanted { plays, diff: true, ..Wanted::look("diff", None, (files, reach, shown)) };
    let mut ended = pipeline::run(&wanted)?;
    if ended.result.interrupted {
        return Ok(Kind::Interrupted);
    }
    let look = ended.look;
    let differing = differing(&ended);
    let others = other_steps(&ended);
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
        ended.result.outcomes.retain(|_, outcome| matches!(outcome, Outcome::Failed(_)));
        let gates: Vec<_> =
            steps(&ended).filter(|(_, step)| path(step).is_none()).map(|(_, step)| step.id).collect();
        ended.result.outcomes.retain(|id, _| !gates.contains(id));
        report::say(&report::failure::text(&ended.plan, &ended.result, look.out))?;
    }
    let is_unsure = ended.result.hosts.values().any(|host| matches!(host.end, HostEnd::Unreachable(..)))
        || (look.json && has_unread(&ended))
        || (!look.json && !ended.result.outcomes.is_empty());
    Ok(match (is_unsure, differing.is_empty()) {
        (true, _) => Kind::Failed,
        (false, true) => Kind::Converged,
        (false, false) => Kind::Pending,
    })
}

fn steps(ended: &Ended) -> impl Iterator<Item = (&str, &apim_rollout::plan::model::Step)> {
    let lanes = ended.plan.stages.iter().flat_map(|stage| &stage.lanes);
    lanes.flat_map(|lane| lane.steps.iter().map(|step| (lane.host.0.as_str(), step)))
}

/// Returns whether a file could not be read.
fn has_unread(ended: &Ended) -> bool {
    steps(ended).any(|(_, step)| {
        path(step).is_some() && matches!(ended.result.outcomes.get(&step.id), Some(Outcome::Failed(_)))
    })
}

fn differing(ended: &Ended) -> Vec<Differing> {
    let mut found: Vec<Differing> = Vec::new();
    for (host, step) in steps(ended) {
        let (Some(path), Some(Outcome::WouldChange(difference))) =
            (path(step), ended.result.outcomes.get(&step.id))
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
fn other_steps(ended: &Ended) -> usize {
    let differs = |step: &apim_rollout::plan::model::Step| {
        matches!(ended.result.outcomes.get(&step.id), Some(Outcome::WouldChange(_)))
    };
    steps(ended).filter(|(_, step)| path(step).is_none() && differs(step)).count()
}

/// Returns the file that a step manages, if any.
fn path(step: &apim_rollout::plan::model::Step) -> Option<String> {
    step.operation().and_then(Operation::file)
}
