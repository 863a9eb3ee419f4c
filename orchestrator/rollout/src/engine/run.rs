//! The course of a run: connect all hosts, survey all hosts, then run the stages with a barrier
//! after each.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use apim_protocol::operation::Mode;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::drained::Drained;
use super::event::{Event, Level};
use super::lane::{self, Pass};
use super::local_task::LocalTaskRunner;
use super::outlines::Outlines;
use super::permit::Budget;
use super::result::RunResult;
use super::run_state::{Run, is_met};
use super::settings::{Interrupt, Settings};
use super::shared::Shared;
use super::wire::KeptSessions;
use super::worker::Worker;
use super::{health, preflight_gate, regressed, stage};
use crate::plan::model::{Plan, Step};
use apim_transport::host::HostName;
use apim_transport::session::Connect;

/// Reason for a run that the user stopped.
const INTERRUPTED: &str = "interrupted";

/// Runs `plan`: surveys all hosts and, in apply mode, changes what differs.
///
/// [`Interrupt::Finish`] lets the current steps finish; [`Interrupt::Quit`] returns immediately.
#[expect(clippy::too_many_arguments, reason = "the plan and the external dependencies of a run")]
pub async fn run(
    plan: Arc<Plan>,
    connect: Arc<dyn Connect>,
    local_tasks: Arc<dyn LocalTaskRunner>,
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
        local_tasks,
        settings,
        events,
        interrupt,
        budget,
        uploads_at_once,
        outlines,
        drained: Drained::default(),
        kept_sessions: KeptSessions::default(),
    });
    let mut run = Run::new(Arc::clone(&shared));
    let hosts = run.hosts.clone();
    let steps = shared.plan.stages.iter().flat_map(|s| &s.lanes).map(|lane| lane.steps.len()).sum();
    shared.tell(Event::RunStarted { verb: shared.settings.verb, hosts, steps });

    let mut leave = shared.interrupt.clone();
    tokio::select! {
        biased;
        () = quit_requested(&mut leave) => {}
        () = cancel_on_interrupt(&shared) => {}
        () = halt(&shared) => {}
        () = run.carry_out() => {}
    }

    let mut result = run.into_result();
    result.interrupted = shared.is_interrupted();
    result.wall = begun.elapsed();
    shared.tell(Event::RunFinished(result.wall));
    result
}

/// Waits until the user wants to quit immediately; without a user, forever.
async fn quit_requested(interrupt: &mut watch::Receiver<Interrupt>) {
    if interrupt.wait_for(|level| *level >= Interrupt::Quit).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Refuses all permit requests after an interrupt; never returns.
async fn cancel_on_interrupt(shared: &Shared) {
    let mut interrupt = shared.interrupt.clone();
    if interrupt.wait_for(|level| *level >= Interrupt::Finish).await.is_ok() {
        shared.tell(Event::Interrupted);
        shared.budget.cancel();
    }
    std::future::pending::<()>().await;
}

/// Halts the rollout on an external request; never returns.
async fn halt(shared: &Shared) {
    if let Some(mut halt) = shared.settings.halt.clone()
        && let Ok(why) = halt.wait_for(Option::is_some).await.map(|why| why.clone().unwrap_or_default())
    {
        shared.tell(Event::Note(Level::Warning, format!("rollout halted: {why}")));
        shared.budget.halt(&why);
    }
    std::future::pending::<()>().await;
}

impl Run {
    async fn carry_out(&mut self) {
        self.for_each(|shared, mut worker| async move {
            worker.connect(&shared).await;
            worker
        })
        .await;
        if let Some(why) = self.held() {
            self.stop(0, &why);
            self.close_sessions().await;
            return;
        }
        self.survey().await;
        let may_go_on = preflight_gate::is_expected(self) && preflight_gate::pass(self);
        match (self.shared.settings.mode, self.shared.is_interrupted()) {
            (Mode::Apply, false) if !may_go_on => {}
            (Mode::Apply, false) => self.stages().await,
            (Mode::Apply, true) => self.stop(0, INTERRUPTED),
            (Mode::Check, _) => {}
        }
        self.close_sessions().await;
    }

    /// Returns the hosts that another run has locked. Concurrent runs are detected before anything
    /// is changed.
    fn held(&self) -> Option<String> {
        let held: Vec<&str> = self
            .workers
            .values()
            .filter(|worker| worker.is_held)
            .map(|worker| worker.host.0.as_str())
            .collect();
        let words = || format!("another run has locked {}; nothing was changed", held.join(", "));
        (!held.is_empty()).then(words)
    }

    /// Closes the sessions of all hosts and releases their locks.
    async fn close_sessions(&mut self) {
        health::close_sessions(&self.shared).await;
        self.for_each(|shared, mut worker| async move {
            worker.goodbye(&shared).await;
            worker
        })
        .await;
    }

    /// Checks every step of every host, all hosts in parallel.
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
        self.mark_nodes_down();
        self.mark_drained_nodes();
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
            if let Err(why) = health::lock_unmanaged_hosts(&self.shared).await {
                self.stop(met, &why);
                return;
            }
            health::check_unmanaged_peers(&self.shared).await;
            if let Some(why) = health::ensure_capacity(&self.shared) {
                self.stop(met, &why);
                return;
            }
        }
        for index in met..plan.stages.len() {
            if self.shared.is_interrupted() {
                self.stop(index, INTERRUPTED);
                return;
            }
            if let Err(why) = stage::run(self, index).await {
                regressed::rollback_regressed(self).await;
                self.stop(index, &why);
                return;
            }
        }
    }

    /// Takes the result of an up-to-date stage from the survey.
    fn take_from_survey(&mut self, index: usize) {
        let plan = Arc::clone(&self.shared.plan);
        let Some(stage) = plan.stages.get(index) else { return };
        for lane in &stage.lanes {
            self.take_lane_from_survey(lane);
        }
        self.result.stages.push((index, Duration::ZERO));
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
}

/// Returns all steps of `host`, in the order of the plan.
fn steps_of<'a>(plan: &'a Plan, host: &HostName) -> Vec<&'a Step> {
    let lanes = plan.stages.iter().flat_map(|stage| &stage.lanes).filter(|lane| lane.host == *host);
    lanes.flat_map(|lane| &lane.steps).collect()
}
