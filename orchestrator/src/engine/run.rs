//! The plot of a run: connect all, survey all, then stage after stage with a barrier behind each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use apim_protocol::operation::Mode;
use apim_protocol::outcome::Outcome;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::budget::Standing;
use super::errand::Errands;
use super::event::{Event, Level};
use super::fallen;
use super::hooks;
use super::judgement;
use super::lane::{self, Pass};
use super::leave::Budget;
use super::outlines::Outlines;
use super::peers::{self, Watching};
use super::result::{HostEnd, NodeResult, RunResult, Stopped};
use super::rotation::Rotating;
use super::settings::{Interrupt, Settings};
use super::settled::is_of_its_host;
use super::stage;
use super::worker::{Shared, Worker};
use crate::inventory::host::HostName;
use crate::plan::build::LOCALHOST;
use crate::plan::model::{Lane, NodeName, Plan, Shift, ShiftWish, Step, Work};
use crate::session::Connect;

/// Why a run ends that the user stopped.
const CALLED_OFF: &str = "the run was called off";

/// Carries out `plan`: looks at everything first, and where `settings` say so changes what differs.
///
/// Setting `interrupt` to [`Interrupt::Finish`] lets the steps in hand finish; [`Interrupt::Leave`] returns at once.
#[expect(clippy::too_many_arguments, reason = "a plan, and all that a run needs of the outside")]
pub async fn run(
    plan: Arc<Plan>,
    connect: Arc<dyn Connect>,
    errands: Arc<dyn Errands>,
    settings: Settings,
    events: mpsc::UnboundedSender<Event>,
    interrupt: watch::Receiver<Interrupt>,
) -> RunResult {
    let begun = Instant::now();
    let budget = Budget::new(settings.limits.clone());
    let uploads_at_once = Arc::new(Semaphore::new(settings.uploads.max(1)));
    let outlines = Arc::new(Outlines::new(settings.outliner.clone(), events.clone()));
    let shared = Arc::new(Shared {
        plan,
        connect,
        errands,
        settings,
        events,
        interrupt,
        budget,
        uploads_at_once,
        outlines,
        rotating: Rotating::default(),
        watching: Watching::default(),
    });
    let mut run = Run::new(Arc::clone(&shared));
    let hosts = run.hosts.clone();
    let steps = shared.plan.stages.iter().flat_map(|s| &s.lanes).map(|lane| lane.steps.len()).sum();
    shared.tell(Event::RunStarted { verb: shared.settings.verb, hosts, steps });

    let mut leave = shared.interrupt.clone();
    tokio::select! {
        biased;
        () = left(&mut leave) => {}
        () = call_off(&shared) => {}
        () = halt(&shared) => {}
        () = run.carry_out() => {}
    }

    let mut result = run.into_result();
    result.interrupted = shared.is_interrupted();
    result.wall = begun.elapsed();
    shared.tell(Event::RunFinished(result.wall));
    result
}

/// Waits until the user wants to leave at once; without a user, for ever.
async fn left(interrupt: &mut watch::Receiver<Interrupt>) {
    if interrupt.wait_for(|wish| *wish >= Interrupt::Leave).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Refuses everybody who waits for leave once the run is called off; never ends.
async fn call_off(shared: &Shared) {
    let mut interrupt = shared.interrupt.clone();
    if interrupt.wait_for(|wish| *wish >= Interrupt::Finish).await.is_ok() {
        shared.tell(Event::Interrupted);
        shared.budget.cancel();
    }
    std::future::pending::<()>().await;
}

/// Stops the rollout once somebody outside wants that; never ends.
async fn halt(shared: &Shared) {
    if let Some(mut halt) = shared.settings.halt.clone()
        && let Ok(why) = halt.wait_for(Option::is_some).await.map(|why| why.clone().unwrap_or_default())
    {
        shared.tell(Event::Note(Level::Warning, format!("the rollout stops: {why}")));
        shared.budget.halt(&why);
    }
    std::future::pending::<()>().await;
}

/// A run: its workers, and what it came to so far.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    /// All hosts, in the order of the plan.
    hosts: Vec<HostName>,
    /// Those that are not in a task just now.
    pub(super) workers: BTreeMap<HostName, Worker>,
    pub(super) result: RunResult,
}

impl Run {
    fn new(shared: Arc<Shared>) -> Self {
        let mut seen = BTreeSet::new();
        let lanes = shared.plan.stages.iter().flat_map(|stage| &stage.lanes);
        let hosts: Vec<HostName> =
            lanes.map(|lane| &lane.host).filter(|host| seen.insert(*host)).cloned().collect();
        let mut workers: BTreeMap<HostName, Worker> =
            hosts.iter().map(|host| (host.clone(), Worker::new(host.clone()))).collect();
        for (host, tasks) in &shared.plan.left_out {
            if let Some(worker) = workers.get_mut(host) {
                worker.result.tally.skipped = *tasks;
            }
        }
        Self { shared, hosts, workers, result: RunResult::default() }
    }

    async fn carry_out(&mut self) {
        self.for_each(|shared, mut worker| async move {
            worker.connect(&shared).await;
            worker
        })
        .await;
        if let Some(why) = self.held() {
            self.stop(0, &why);
            self.leave_hosts().await;
            return;
        }
        self.survey().await;
        let may_go_on = judgement::is_expected(self) && judgement::pass(self);
        match (self.shared.settings.mode, self.shared.is_interrupted()) {
            (Mode::Apply, false) if !may_go_on => {}
            (Mode::Apply, false) => self.stages().await,
            (Mode::Apply, true) => self.stop(0, CALLED_OFF),
            (Mode::Check, _) => {}
        }
        self.leave_hosts().await;
    }

    /// Says which hosts another run holds: two runs at once are kept apart before either does anything, not half-way.
    fn held(&self) -> Option<String> {
        let held: Vec<&str> = self
            .workers
            .values()
            .filter(|worker| worker.is_held)
            .map(|worker| worker.host.0.as_str())
            .collect();
        let words = || format!("another run holds {}; nothing was changed anywhere", held.join(", "));
        (!held.is_empty()).then(words)
    }

    /// Says goodbye to every host that was reached; each is free for others then.
    async fn leave_hosts(&mut self) {
        peers::leave(&self.shared).await;
        self.for_each(|shared, mut worker| async move {
            worker.goodbye(&shared).await;
            worker
        })
        .await;
    }

    /// Looks at every step of every host, all hosts at once.
    async fn survey(&mut self) {
        self.for_each(|shared, mut worker| async move {
            if worker.wire.is_some() && !shared.is_interrupted() {
                let steps = steps_of(&shared.plan, &worker.host);
                shared.tell(Event::Surveying(worker.host.clone(), steps.len()));
                lane::run(&shared, &mut worker, &steps, Pass::Survey).await;
                let differing = steps.iter().filter(|step| !is_met(&worker, step)).count();
                shared.tell(Event::Surveyed(worker.host.clone(), differing));
            }
            worker
        })
        .await;
    }

    async fn stages(&mut self) {
        self.note_who_is_down();
        self.note_who_was_left_out();
        self.note_moves();
        let plan = Arc::clone(&self.shared.plan);
        let met = plan
            .stages
            .iter()
            .take_while(|stage| stage.lanes.iter().all(|lane| self.is_lane_met(&lane.host, &lane.steps)));
        let met = met.count();
        for index in 0..met {
            self.take_from_survey(index);
        }
        self.result.nothing_to_do = met == plan.stages.len();
        if !self.result.nothing_to_do {
            if let Err(why) = peers::hold(&self.shared).await {
                self.stop(met, &why);
                return;
            }
            peers::look_at_bystanders(&self.shared).await;
            if let Some(why) = peers::nobody_is_left(&self.shared) {
                self.stop(met, &why);
                return;
            }
        }
        for index in met..plan.stages.len() {
            if self.shared.is_interrupted() {
                self.stop(index, CALLED_OFF);
                return;
            }
            if let Err(why) = stage::run(self, index).await {
                fallen::bring_back(self).await;
                self.stop(index, &why);
                return;
            }
        }
    }

    fn is_lane_met(&self, host: &HostName, steps: &[Step]) -> bool {
        self.workers.get(host).is_some_and(|worker| {
            worker.result.end == HostEnd::Done && steps.iter().all(|step| is_met(worker, step))
        })
    }

    /// Says whether a lane, found to be met by the survey, is still so although other hosts were worked on since: nothing was
    /// done on its own host, nor on this machine in place of a host, and none of its steps looks further than that.
    pub(super) fn is_settled(&self, lane: &Lane) -> bool {
        let is_untouched = |host: &HostName| self.workers.get(host).is_none_or(|worker| !worker.is_touched);
        self.is_lane_met(&lane.host, &lane.steps)
            && is_untouched(&lane.host)
            && is_untouched(&HostName(LOCALHOST.to_owned()))
            && lane.steps.iter().all(is_of_its_host)
    }

    /// A stage that the survey found to be met, with nothing applied since, needs no second look.
    fn take_from_survey(&mut self, index: usize) {
        let plan = Arc::clone(&self.shared.plan);
        let Some(stage) = plan.stages.get(index) else { return };
        for lane in &stage.lanes {
            self.take_lane_from_survey(lane);
        }
        self.result.stages.push((index, Duration::ZERO));
    }

    /// What the survey found of a lane is its result.
    pub(super) fn take_lane_from_survey(&mut self, lane: &Lane) {
        let shared = Arc::clone(&self.shared);
        let Some(worker) = self.workers.get_mut(&lane.host) else { return };
        for step in &lane.steps {
            let outcome = worker.outcomes.get(&step.id).cloned().unwrap_or(Outcome::Ok);
            worker.record(step.id, outcome.clone(), step.ignore_failure);
            let (host, title) = (lane.host.clone(), step.title.clone());
            shared.tell(Event::StepFinished(host, step.id, title, outcome, Duration::ZERO));
        }
    }

    /// What the survey found of nodes that are to move to another release: what is run later replaces its findings.
    fn note_moves(&mut self) {
        for (step, outcome) in self.workers.values().flat_map(|worker| &worker.outcomes) {
            if let Outcome::WouldChange(found) = outcome {
                self.result.moves.extend(found.release().map(|moved| (*step, moved.clone())));
            }
        }
    }

    /// Nodes that are down, and those on hosts that were not reached, count against their pools.
    ///
    /// A node is down when none of its proofs of health held. One that only misses the last of them (it serves, but a
    /// connection to a peer is missing) needs leave as a healthy one does; and where a plan holds nothing but proofs, a
    /// failed one says too little.
    fn note_who_is_down(&self) {
        let Shared { plan, budget, .. } = self.shared.as_ref();
        let mut nodes: BTreeMap<&NodeName, Seen<'_>> = BTreeMap::new();
        for lane in plan.stages.iter().flat_map(|stage| &stage.lanes) {
            let Some(worker) = self.workers.get(&lane.host) else { continue };
            for step in &lane.steps {
                let Some(node) = &step.node else { continue };
                let seen = nodes.entry(node).or_default();
                seen.pool = seen.pool.or(step.budget.as_deref());
                seen.is_unreachable = matches!(worker.result.end, HostEnd::Unreachable(..));
                if step.proves_health {
                    seen.proofs += 1;
                    seen.held += usize::from(is_met(worker, step));
                } else {
                    seen.is_managed |= step.budget.is_some();
                }
            }
        }
        for (node, seen) in nodes {
            let why = match seen.is_unreachable {
                true => "its host is unreachable",
                false if seen.is_managed && seen.proofs > 0 && seen.held == 0 => "not healthy",
                false => continue,
            };
            if let Some(pool) = seen.pool {
                budget.found_down(node, pool, why);
            }
        }
    }

    /// Nodes that a hook of a former run took out, and that are not back, serve nobody: they count as down until they are put back.
    fn note_who_was_left_out(&self) {
        let Shared { plan, budget, rotating, .. } = self.shared.as_ref();
        let steps = || plan.stages.iter().flat_map(|stage| &stage.lanes).flat_map(|lane| &lane.steps);
        for (host, step) in plan.steps() {
            let Work::Shift(Shift { hooks, wish: ShiftWish::Returned }) = &step.work else { continue };
            let outcomes = self.workers.get(host).map(|worker| &worker.outcomes);
            let found = outcomes.and_then(|outcomes| outcomes.get(&step.id));
            if !matches!(found, Some(Outcome::WouldChange(_))) {
                continue;
            }
            rotating.was_left_out(hooks);
            let of_node = |other: &&Step| other.node.as_ref() == Some(&hooks.node);
            let pool = steps().filter(of_node).find_map(|other| other.budget.as_deref());
            if let (Some(pool), false) = (pool, budget.is_down(&hooks.node)) {
                budget.found_down(&hooks.node, pool, hooks::LEFT_OUT);
            }
        }
    }

    /// Runs `work` for every worker, as many at once as the settings say.
    async fn for_each<F, W>(&mut self, work: F)
    where
        F: Fn(Arc<Shared>, Worker) -> W,
        W: Future<Output = Worker> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        let mut queue: VecDeque<Worker> =
            self.hosts.iter().filter_map(|host| self.workers.remove(host)).collect();
        loop {
            while tasks.len() < self.shared.settings.forks.max(1)
                && let Some(worker) = queue.pop_front()
            {
                tasks.spawn(work(Arc::clone(&self.shared), worker));
            }
            match tasks.join_next().await {
                Some(joined) => self.take_back(joined),
                None => return,
            }
        }
    }

    /// Takes a worker back from its task; a bug in there becomes a bug out here.
    pub(super) fn take_back(&mut self, joined: Result<Worker, JoinError>) {
        match joined {
            Ok(worker) => {
                self.workers.insert(worker.host.clone(), worker);
            }
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }

    /// The run ends in or behind stage `index`: hosts with steps left are stopped before what comes next for them.
    pub(super) fn stop(&mut self, index: usize, why: &str) {
        let plan = Arc::clone(&self.shared.plan);
        for stage in plan.stages.get(index..).unwrap_or_default() {
            for lane in &stage.lanes {
                let Some(worker) = self.workers.get_mut(&lane.host) else { continue };
                let left = lane.steps.iter().any(|step| !worker.ran(step.id));
                if worker.result.end == HostEnd::Done && left {
                    worker.result.end = HostEnd::Stopped(Some(stage.title.clone()));
                }
            }
        }
        let title = plan.stages.get(index).map(|stage| stage.title.clone()).unwrap_or_default();
        self.result.stopped = Some(Stopped { stage: index, title, why: why.to_owned() });
    }

    fn into_result(self) -> RunResult {
        let mut result = self.result;
        result.nodes = standings(&self.shared);
        for host in self.hosts {
            result.hosts.entry(host).or_default().end = HostEnd::Stopped(None);
        }
        for (host, worker) in self.workers {
            result.outcomes.extend(worker.outcomes);
            result.heard.extend(worker.heard);
            result.hosts.insert(host, worker.result);
        }
        result
    }
}

/// Returns how the nodes stand, of those pools in which something happened.
fn standings(shared: &Shared) -> Vec<NodeResult> {
    let steps = shared.plan.stages.iter().flat_map(|stage| &stage.lanes).flat_map(|lane| &lane.steps);
    let mut seen: BTreeSet<&NodeName> = BTreeSet::new();
    let nodes = steps.filter_map(|step| Some((step.node.as_ref()?, step.budget.as_ref()?)));
    let mut all: Vec<NodeResult> = nodes
        .filter(|(node, _)| seen.insert(node))
        .map(|(node, pool)| NodeResult {
            node: node.clone(),
            pool: pool.clone(),
            standing: shared.budget.standing(node),
        })
        .collect();
    let moved: BTreeSet<String> =
        all.iter().filter(|one| one.standing != Standing::Untouched).map(|one| one.pool.clone()).collect();
    all.retain(|one| moved.contains(&one.pool));
    all.sort_by(|one, other| one.pool.cmp(&other.pool));
    all
}

/// What the survey says of a node.
#[derive(Default)]
struct Seen<'a> {
    pool: Option<&'a str>,
    is_unreachable: bool,
    /// Whether the plan does more with it than to prove its health.
    is_managed: bool,
    proofs: usize,
    held: usize,
}

/// Says whether the survey found `step` to be as wished.
fn is_met(worker: &Worker, step: &Step) -> bool {
    matches!(worker.outcomes.get(&step.id), Some(Outcome::Ok | Outcome::Observed(_) | Outcome::Skipped(_)))
}

/// Returns all steps of `host`, in the order of the plan.
fn steps_of<'a>(plan: &'a Plan, host: &HostName) -> Vec<&'a Step> {
    let lanes = plan.stages.iter().flat_map(|stage| &stage.lanes).filter(|lane| lane.host == *host);
    lanes.flat_map(|lane| &lane.steps).collect()
}
