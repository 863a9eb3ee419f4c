//! Builds a plan from inventory, playbook and cluster: plays become stages, tasks become steps.
//! Pure. Reports all errors, not only the first.
//!
//! A batch of a play is a stage, with a barrier after it. First everything is *drafted*, which
//! needs no artifacts and finds all errors. Then `finish` creates the plan, once the artifacts are
//! available.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use apim_protocol::message::StepId;
use apim_protocol::operation::Operation;
use apim_protocol::operation::unit::State;
use apim_protocol::query::Query;
use apim_protocol::value::Sha256;

use super::model::{ContentSource, Contents, Lane, OnFailure, Plan, Stage, Step};
use apim_documents::inventory::Inventory;
use apim_documents::playbook::tags::Wanted;
use apim_documents::playbook::{Bound, BoundTask, Play, Playbook, Strategy, Task, bind, expand};
use apim_product::steps::lower;
use apim_product::work::Work;
use apim_product::yaml::{Mistakes, Span};
use apim_product::{Cluster, Draft, NodeName, Role, StepOptions, health};
use apim_transport::host::HostName;

mod shifting;

/// Name of the control machine, for local tasks.
pub const LOCALHOST: &str = "localhost";

/// Input of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The hosts.
    pub inventory: &'a Inventory,
    /// The plays.
    pub playbook: &'a Playbook,
    /// The nodes on the hosts.
    pub cluster: &'a Cluster,
    /// `--limit`.
    pub limit: Option<&'a str>,
    /// `--tags` and `--skip-tags`.
    pub tags: &'a Wanted,
}

/// A plan without its artifacts.
#[derive(Debug, Clone, Default)]
pub struct Drafted {
    stages: Vec<DraftedStage>,
    /// Hosts with tasks that use `become`.
    pub escalates: BTreeSet<HostName>,
    /// Number of tasks excluded by a condition, by host.
    left_out: BTreeMap<HostName, usize>,
}

#[derive(Debug, Clone)]
struct DraftedStage {
    title: String,
    on_failure: OnFailure,
    lanes: Vec<(HostName, Vec<DraftedStep>)>,
}

#[derive(Debug, Clone)]
struct DraftedStep {
    draft: Draft,
    options: StepOptions,
}

/// Drafts the plan.
///
/// # Errors
/// All errors of the playbook on these hosts.
pub fn draft(wish: &Wish<'_>) -> Result<Drafted, Mistakes> {
    let mut drafting = Drafting {
        wish,
        drafted: Drafted::default(),
        mistakes: Mistakes::default(),
        has_hosts: false,
        without: Vec::new(),
    };
    for play in &wish.playbook.plays {
        drafting.play(play);
    }
    drafting.check_accounts();
    let Drafting { drafted, mut mistakes, has_hosts, .. } = drafting;
    wish.tags.check(wish.playbook, &mut mistakes);
    if let (false, true, Some(limit)) = (has_hosts, mistakes.0.is_empty(), wish.limit) {
        let hint = "list the hosts of each group with `apim-deploy inventory --graph`";
        mistakes.add_hint(
            &Span::flag("--limit"),
            format!("--limit `{limit}` matches no host of the plays"),
            hint,
        );
    }
    if mistakes.0.is_empty() { Ok(drafted) } else { Err(mistakes) }
}

struct Drafting<'a> {
    wish: &'a Wish<'a>,
    drafted: Drafted,
    mistakes: Mistakes,
    /// Whether a play has a host.
    has_hosts: bool,
    /// Tasks with `become: false`, and their position.
    without: Vec<(HostName, Span)>,
}

impl Drafting<'_> {
    fn play(&mut self, play: &Play) {
        let batches = match expand(play, self.wish.inventory, self.wish.limit) {
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
            play.tasks.iter().filter(|task| self.wish.tags.wants(&task.options.tags)).collect();
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
            let mut stage = DraftedStage { title, on_failure: on_failure(play), lanes: Vec::new() };
            for (number, host) in batch.iter().enumerate() {
                for task in part.iter().filter(|task| number == 0 || !task.run_once) {
                    self.task(play, task, host, &mut stage);
                }
            }
            if !stage.lanes.is_empty() {
                self.drafted.stages.push(stage);
            }
        }
    }

    fn task(&mut self, play: &Play, task: &Task, host: &HostName, stage: &mut DraftedStage) {
        let Some(known) = self.wish.inventory.host(&host.0) else { return };
        let bound = match bind(play, task, known) {
            Ok(bound) => bound,
            Err(found) => return self.mistakes.0.extend(found.0),
        };
        for bound in bound {
            let drafts = match &bound.work {
                Bound::Apim(task) => lower(task, self.wish.cluster, &host.0),
                Bound::Operations(drafts) => drafts.clone(),
                Bound::Skipped(_) => {
                    *self.drafted.left_out.entry(host.clone()).or_default() += 1;
                    continue;
                }
            };
            let lane = if bound.on_localhost { HostName(LOCALHOST.to_owned()) } else { host.clone() };
            if drafts.is_empty() {
                continue;
            }
            self.note_account(&bound, &lane);
            for draft in drafts {
                stage.add(&lane, DraftedStep::new(draft, &bound));
            }
        }
    }
}

impl Drafting<'_> {
    /// Returns `become` of the host in the inventory. As in Ansible it takes precedence over the
    /// task.
    fn inventory_says(&self, lane: &HostName) -> Option<bool> {
        self.wish.inventory.host(&lane.0).and_then(|host| host.connection.become_setting)
    }

    fn note_account(&mut self, bound: &BoundTask, lane: &HostName) {
        let says = self.inventory_says(lane);
        let escalates = says.or(bound.escalate) == Some(true);
        if escalates {
            self.drafted.escalates.insert(lane.clone());
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
            if self.drafted.escalates.contains(&lane) {
                let what =
                    format!("`become: false` is not possible: other tasks on {} set `become: true`", lane.0);
                let hint = "one agent runs all tasks of a host; use `become_user` to run a command as another account";
                self.mistakes.add_hint(&at, what, hint);
            }
        }
    }
}

impl Drafted {
    /// Adds a last stage that inspects every node of `hosts`.
    pub fn add_inspection(&mut self, cluster: &Cluster, hosts: &dyn Fn(&str) -> bool) {
        let mut stage = DraftedStage {
            title: "inspect every node".to_owned(),
            on_failure: OnFailure::StopAtBarrier,
            lanes: Vec::new(),
        };
        for node in cluster.nodes().iter().filter(|node| hosts(&node.host)) {
            let operation = Query::Inspect(Box::new(health::inspect(cluster, node)));
            let draft = Draft {
                title: format!("{}: inspect", node.words()),
                work: operation.into(),
                node: Some(node.name.clone()),
                budget: None,
                proves_health: false,
                contents: Vec::new(),
                files: Vec::new(),
                rescue: Vec::new(),
            };
            let options = StepOptions { ignore_failure: true, check_only: true, ..StepOptions::default() };
            let step = DraftedStep { draft, options };
            stage.add(&HostName(node.host.clone()), step);
        }
        if !stage.lanes.is_empty() {
            self.stages.push(stage);
        }
    }

    /// Adds a last stage that runs `drafts` on one host.
    pub fn add_stage(&mut self, title: String, host: &HostName, drafts: Vec<Draft>) {
        if !drafts.is_empty() {
            let steps = drafts.into_iter().map(DraftedStep::plain).collect();
            let lanes = vec![(host.clone(), steps)];
            self.stages.push(DraftedStage { title, on_failure: OnFailure::StopAtBarrier, lanes });
        }
    }

    /// Keeps only the steps of nodes with these roles.
    pub fn keep_roles(&mut self, cluster: &Cluster, roles: &[Role]) {
        let is_kept = |step: &DraftedStep| {
            let node = cluster.nodes().iter().find(|node| Some(&node.name) == step.draft.node.as_ref());
            node.is_some_and(|node| roles.contains(&node.role))
        };
        for stage in &mut self.stages {
            stage.lanes.iter_mut().for_each(|(_, steps)| steps.retain(is_kept));
            stage.lanes.retain(|(_, steps)| !steps.is_empty());
        }
        self.stages.retain(|stage| !stage.lanes.is_empty());
    }

    /// Returns the nodes that the plan changes.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<NodeName> {
        let steps = self.stages.iter().flat_map(|stage| &stage.lanes).flat_map(|(_, steps)| steps);
        let worked_on = steps.filter(|step| !step.draft.proves_health && !step.options.check_only);
        worked_on.filter_map(|step| step.draft.node.clone()).collect()
    }

    /// Sets the release for rollbacks: this name, or a name that starts with it. The default is the
    /// previous release of each host.
    pub fn go_back_to(&mut self, release: &str) {
        let steps = self.stages.iter_mut().flat_map(|stage| &mut stage.lanes).flat_map(|(_, steps)| steps);
        for step in steps {
            if let Work::Host(Operation::Revert(revert)) = &mut step.draft.work {
                revert.to = Some(release.to_owned());
            }
        }
    }

    /// Returns the digests of the artifacts that hosts may request.
    #[must_use]
    pub fn needs(&self) -> BTreeSet<Sha256> {
        let steps = self.stages.iter().flat_map(|stage| &stage.lanes).flat_map(|(_, steps)| steps);
        steps.flat_map(|step| step.draft.files.iter().map(|(sha256, _)| *sha256)).collect()
    }

    /// Returns the digests of the artifacts that are read on the control machine.
    #[must_use]
    pub fn reads_here(&self) -> BTreeSet<Sha256> {
        let steps = self.stages.iter().flat_map(|stage| &stage.lanes).flat_map(|(_, steps)| steps);
        let ours = steps.filter(|step| step.draft.operation().is_none());
        ours.flat_map(|step| step.draft.files.iter().map(|(sha256, _)| *sha256)).collect()
    }

    /// Returns whether there are local tasks.
    #[must_use]
    pub fn uses_localhost(&self) -> bool {
        self.stages.iter().flat_map(|stage| &stage.lanes).any(|(host, _)| host.0 == LOCALHOST)
    }

    /// Creates the plan. `artifacts` contains path and size of each artifact. A missing one cannot
    /// be sent.
    #[must_use]
    pub fn finish(self, artifacts: &BTreeMap<Sha256, (PathBuf, u64)>) -> Plan {
        let mut contents = Contents::default();
        for (sha256, (path, _)) in artifacts {
            contents.sources.insert(*sha256, ContentSource::File(path.clone()));
        }
        let mut next = 1;
        let mut stages = Vec::new();
        let mut started = BTreeSet::new();
        for DraftedStage { title, on_failure, lanes } in self.stages {
            let lanes = lanes.into_iter().map(|(host, steps)| {
                let mut steps: Vec<Step> = steps
                    .into_iter()
                    .map(|mut step| {
                        for (sha256, _) in step.draft.files.clone() {
                            let size = artifacts.get(&sha256).map_or(0, |(_, size)| *size);
                            step.draft.set_size(sha256, size);
                        }
                        for bytes in &step.draft.contents {
                            contents.add(bytes.clone());
                        }
                        step.numbered(&mut next)
                    })
                    .collect();
                node_by_node(&mut steps);
                keep_rescues_of_started(&mut steps, &mut started);
                Lane { host, steps }
            });
            let lanes = lanes.collect();
            stages.push(Stage { title, lanes, width: None, on_failure });
        }
        Plan { stages, contents, left_out: self.left_out, ..Plan::default() }
    }
}

impl DraftedStage {
    fn add(&mut self, host: &HostName, step: DraftedStep) {
        match self.lanes.iter_mut().find(|(known, _)| known == host) {
            Some((_, steps)) => steps.push(step),
            None => self.lanes.push((host.clone(), vec![step])),
        }
    }
}

impl DraftedStep {
    /// A step that comes from no task of a playbook.
    fn plain(draft: Draft) -> Self {
        Self { draft, options: StepOptions::default() }
    }

    fn new(mut draft: Draft, bound: &BoundTask) -> Self {
        if bound.options.no_log {
            draft.title.clone_from(&bound.title);
        }
        Self { draft, options: bound.options.clone() }
    }

    fn numbered(self, next: &mut u32) -> Step {
        let id = StepId(*next);
        *next += 1;
        let Self { draft, options } = self;
        let Draft { title, work, node, budget, proves_health, contents: _, files: _, rescue } = draft;
        let rescue = rescue.into_iter().map(|draft| {
            let tags = options.tags.clone();
            let options = StepOptions { tags, no_log: options.no_log, ..StepOptions::default() };
            Self { draft, options }.numbered(next)
        });
        let rescue = rescue.collect();
        Step { id, title, work, node, budget, proves_health, options, rescue }
    }
}

fn on_failure(play: &Play) -> OnFailure {
    match (play.any_errors_fatal, play.max_fail_percentage) {
        (true, _) => OnFailure::StopAtOnce,
        (false, Some(percent)) => OnFailure::StopAbove(percent),
        (false, None) => OnFailure::StopAtBarrier,
    }
}

/// On a host with several nodes, one node is finished before the next one starts: tasks are lowered
/// for all nodes of a host at once, and a node must be healthy before its neighbour may go down.
fn node_by_node(steps: &mut [Step]) {
    for together in steps.chunk_by_mut(|one, next| one.node.is_some() && next.node.is_some()) {
        let mut order = Vec::new();
        for node in together.iter().filter_map(|step| step.node.clone()) {
            if !order.contains(&node) {
                order.push(node);
            }
        }
        together.sort_by_key(|step| order.iter().position(|node| Some(node) == step.node.as_ref()));
    }
}

/// Keeps rescue steps only after a step that started the node; `started` collects those nodes. A
/// read-only plan changes nothing.
fn keep_rescues_of_started(steps: &mut [Step], started: &mut BTreeSet<NodeName>) {
    for step in steps {
        let starts = matches!(step.operation(), Some(Operation::Unit(unit)) if unit.state == State::Started);
        started.extend(step.node.clone().filter(|_| starts && !step.options.check_only));
        if step.node.as_ref().is_none_or(|node| !started.contains(node)) {
            step.rescue.clear();
        }
    }
}
