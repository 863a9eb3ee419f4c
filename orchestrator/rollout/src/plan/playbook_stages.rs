//! Stages of a playbook. A batch of a play is a stage, with a barrier after it; tasks become steps.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{LOCALHOST, OnFailure};
use super::options::PlanInputs;
use super::plan_draft::{DraftStage, DraftStep};
use apim_documents::playbook::{Bound, BoundTask, Play, Strategy, Task, bind, expand};
use apim_product::Draft;
use apim_product::steps::lower;
use apim_product::yaml::{Mistakes, Span};
use apim_transport::host::HostName;

/// The stages of a playbook.
#[derive(Default)]
pub(super) struct PlaybookStages {
    pub(super) stages: Vec<DraftStage>,
    /// Hosts with tasks that use `become`.
    pub(super) escalates: BTreeSet<HostName>,
    /// Number of tasks excluded by a condition, by host.
    pub(super) left_out: BTreeMap<HostName, usize>,
}

/// Drafts the stages of the playbook.
///
/// # Errors
/// All errors of the playbook on these hosts.
pub(super) fn playbook_stages(inputs: &PlanInputs<'_>) -> Result<PlaybookStages, Mistakes> {
    let mut drafting = Drafting {
        inputs,
        found: PlaybookStages::default(),
        mistakes: Mistakes::default(),
        has_hosts: false,
        without: Vec::new(),
    };
    for play in &inputs.playbook.plays {
        drafting.play(play);
    }
    drafting.check_accounts();
    let Drafting { found, mut mistakes, has_hosts, .. } = drafting;
    inputs.tags.check(inputs.playbook, &mut mistakes);
    if let (false, true, Some(limit)) = (has_hosts, mistakes.0.is_empty(), inputs.limit) {
        let hint = "list the hosts of each group with `apim-deploy inventory --graph`";
        mistakes.add_hint(
            &Span::flag("--limit"),
            format!("--limit `{limit}` matches no host of the plays"),
            hint,
        );
    }
    if mistakes.0.is_empty() { Ok(found) } else { Err(mistakes) }
}

struct Drafting<'a> {
    inputs: &'a PlanInputs<'a>,
    found: PlaybookStages,
    mistakes: Mistakes,
    /// Whether a play has a host.
    has_hosts: bool,
    /// Tasks with `become: false`, and their position.
    without: Vec<(HostName, Span)>,
}

impl Drafting<'_> {
    fn play(&mut self, play: &Play) {
        let batches = match expand(play, self.inputs.inventory, self.inputs.limit) {
            Ok(batches) => batches,
            Err(found) => return self.mistakes.0.extend(found.0),
        };
        self.has_hosts |= batches.iter().any(|batch| !batch.is_empty());
        let count = batches.len();
        for (number, batch) in batches.iter().enumerate() {
            let title = match count {
                1 => play.name.clone(),
                _ => format!("{} ({}/{count})", play.name, number + 1),
            };
            self.batch(play, &title, batch);
        }
    }

    /// Drafts the stages of one batch: one stage for all tasks, or one for each task with the
    /// linear strategy. Local tasks get a stage of their own.
    fn batch(&mut self, play: &Play, title: &str, batch: &[HostName]) {
        let tasks: Vec<&Task> =
            play.tasks.iter().filter(|task| self.inputs.tags.wants(&task.options.tags)).collect();
        let together = |one: &&Task, next: &&Task| {
            play.strategy == Strategy::Free && !one.on_localhost && !next.on_localhost
        };
        let parts: Vec<&[&Task]> = tasks.chunk_by(together).collect();
        for part in &parts {
            let title = match (parts.len(), part.first()) {
                (2.., Some(task)) => {
                    format!("{title}: {}", task.name.as_text().unwrap_or_else(|| "task".to_owned()))
                }
                _ => title.to_owned(),
            };
            let mut stage = DraftStage { on_failure: on_failure(play), ..DraftStage::new(title) };
            for (number, host) in batch.iter().enumerate() {
                for task in part.iter().filter(|task| number == 0 || !task.run_once) {
                    self.task(play, task, host, &mut stage);
                }
            }
            if !stage.lanes.is_empty() {
                self.found.stages.push(stage);
            }
        }
    }

    fn task(&mut self, play: &Play, task: &Task, host: &HostName, stage: &mut DraftStage) {
        let Some(known) = self.inputs.inventory.host(&host.0) else { return };
        let bound = match bind(play, task, known) {
            Ok(bound) => bound,
            Err(found) => return self.mistakes.0.extend(found.0),
        };
        for bound in bound {
            let drafts = match &bound.work {
                Bound::Apim(task) => lower(task, self.inputs.cluster, &host.0),
                Bound::Operations(drafts) => drafts.clone(),
                Bound::Skipped(_) => {
                    *self.found.left_out.entry(host.clone()).or_default() += 1;
                    continue;
                }
            };
            let lane = if bound.on_localhost { HostName(LOCALHOST.to_owned()) } else { host.clone() };
            if drafts.is_empty() {
                continue;
            }
            self.note_account(&bound, &lane);
            for draft in drafts {
                stage.add(&lane, step(draft, &bound));
            }
        }
    }
}

impl Drafting<'_> {
    /// Returns `become` of the host in the inventory. As in Ansible it takes precedence over the
    /// task.
    fn inventory_says(&self, lane: &HostName) -> Option<bool> {
        self.inputs.inventory.host(&lane.0).and_then(|host| host.connection.become_setting)
    }

    fn note_account(&mut self, bound: &BoundTask, lane: &HostName) {
        let says = self.inventory_says(lane);
        let escalates = says.or(bound.escalate) == Some(true);
        if escalates {
            self.found.escalates.insert(lane.clone());
        } else if let (None, Some(false), Some(at)) = (says, bound.escalate, &bound.escalate_at) {
            self.without.push((lane.clone(), at.clone()));
        }
        // Ansible silently ignores `become_user` without `become`.
        if let (Some(user), Some(at), false) = (&bound.become_user, &bound.become_user_at, escalates) {
            let what = format!("`become_user: {user}` has no effect without `become: true`");
            self.mistakes.add_hint(at, what, "add `become: true`, or remove it");
        }
    }

    /// One agent runs all tasks of a host, with privilege as soon as one task needs it.
    fn check_accounts(&mut self) {
        for (lane, at) in std::mem::take(&mut self.without) {
            if self.found.escalates.contains(&lane) {
                let what =
                    format!("`become: false` is not possible: other tasks on {} set `become: true`", lane.0);
                let hint = "one agent runs all tasks of a host; use `become_user` to run a command as another account";
                self.mistakes.add_hint(&at, what, hint);
            }
        }
    }
}

fn step(mut draft: Draft, bound: &BoundTask) -> DraftStep {
    if bound.options.no_log {
        draft.title.clone_from(&bound.title);
    }
    DraftStep { draft, options: bound.options.clone() }
}

fn on_failure(play: &Play) -> OnFailure {
    match (play.any_errors_fatal, play.max_fail_percentage) {
        (true, _) => OnFailure::StopAtOnce,
        (false, Some(percent)) => OnFailure::StopAbove(percent),
        (false, None) => OnFailure::StopAtBarrier,
    }
}
