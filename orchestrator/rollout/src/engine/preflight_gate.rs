//! The preflight gate: evaluates the answers of all hosts between the survey and the first change.
//! The caller provides the rules.

use std::sync::Arc;
use std::time::Duration;

use apim_protocol::operation::Mode;
use apim_protocol::outcome::{Outcome, ReleaseChange};
use apim_protocol::query::Query;

use super::event::{Event, Level};
use super::result::HostEnd;
use super::run_state::Run;
use super::settings::{HostAnswers, PreflightResult, Surveyed};
use super::worker::Worker;
use apim_product::NodeName;

/// Evaluates the answers with the run's judge. Returns whether the run may continue. Steps of hosts
/// that do not pass have failed.
pub(super) fn pass(run: &mut Run) -> bool {
    let shared = Arc::clone(&run.shared);
    let Some(judge) = shared.settings.judge.as_ref().filter(|_| !shared.is_interrupted()) else {
        return true;
    };
    let host_answers = host_answers(run);
    if host_answers.is_empty() {
        return true;
    }
    let PreflightResult { failures, warnings } = (judge.0)(&host_answers);
    for warning in warnings {
        shared.tell(Event::Note(Level::Warning, warning));
    }
    let mut failed = Vec::new();
    for (step, failure) in failures {
        let Some(host) = host_answers.iter().find(|one| one.step == step).map(|one| &one.host) else {
            continue;
        };
        let Some(worker) = run.workers.get_mut(host) else { continue };
        let outcome = Outcome::Failed(failure);
        let title = title(&shared.plan, step);
        if shared.settings.mode == Mode::Check {
            // It was counted as ok.
            worker.result.tally.ok = worker.result.tally.ok.saturating_sub(1);
        }
        shared.tell(Event::StepFinished(host.clone(), step, title.clone(), outcome.clone(), Duration::ZERO));
        worker.record(step, outcome, false);
        worker.result.end = HostEnd::Failed(title);
        failed.push(host.0.clone());
    }
    if failed.is_empty() {
        return true;
    }
    if shared.settings.mode == Mode::Apply {
        run.stop(0, &format!("preflight failed on {}; nothing was changed", failed.join(", ")));
    }
    false
}

/// Compares the survey with the saved plan. Returns whether the run may continue.
pub(super) fn is_expected(run: &mut Run) -> bool {
    let shared = Arc::clone(&run.shared);
    let Some(confirm) = shared.settings.confirm.as_ref().filter(|_| !shared.is_interrupted()) else {
        return true;
    };
    let workers = || run.workers.iter();
    let outcomes = workers().flat_map(|(_, worker)| worker.outcomes.clone()).collect();
    let facts = workers().filter_map(|(host, worker)| Some((host.clone(), worker.result.facts.clone()?)));
    let surveyed = Surveyed { outcomes, facts: facts.collect() };
    run.result.unexpected = (confirm.0)(&surveyed);
    if run.result.unexpected.is_empty() {
        return true;
    }
    run.stop(0, "the hosts differ from the saved plan; nothing was changed");
    false
}

fn host_answers(run: &Run) -> Vec<HostAnswers> {
    let lanes = run.shared.plan.stages.iter().flat_map(|stage| &stage.lanes);
    let steps = lanes.flat_map(|lane| lane.steps.iter().map(move |step| (&lane.host, step)));
    let asked = steps.filter(|(_, step)| matches!(step.query(), Some(Query::Examine(_))));
    asked
        .map(|(host, step)| {
            let worker = run.workers.get(host);
            let answers = match worker.and_then(|worker| worker.outcomes.get(&step.id)) {
                Some(Outcome::Observed(seen)) => Ok(seen.answers.clone()),
                Some(Outcome::Failed(failure)) => Err(failure.what.clone()),
                _ => Err("unreachable".to_owned()),
            };
            HostAnswers {
                step: step.id,
                host: host.clone(),
                facts: worker.and_then(|worker| worker.result.facts.clone()),
                answers,
                heard: worker.and_then(|worker| worker.heard.get(&step.id).copied()),
                moves: worker.map(|worker| moves(run, worker)).unwrap_or_default(),
            }
        })
        .collect()
}

fn moves(run: &Run, worker: &Worker) -> Vec<(NodeName, ReleaseChange)> {
    let steps = run.shared.plan.steps_with_rescues().filter(|(host, _)| **host == worker.host);
    steps
        .filter_map(|(_, step)| match worker.outcomes.get(&step.id) {
            Some(Outcome::WouldChange(found)) => Some((step.node.clone()?, found.release()?.clone())),
            _ => None,
        })
        .collect()
}

fn title(plan: &crate::plan::model::Plan, id: apim_protocol::message::StepId) -> String {
    let mut steps = plan.stages.iter().flat_map(|stage| &stage.lanes).flat_map(|lane| &lane.steps);
    steps.find(|step| step.id == id).map(|step| step.title.clone()).unwrap_or_default()
}
