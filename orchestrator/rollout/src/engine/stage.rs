//! Runs one stage: its lanes in parallel, then the check at the barrier.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::event::Event;
use super::lane::{self, Pass};
use super::result::HostEnd;
use super::run_state::Run;
use super::shared::Shared;
use super::traffic;
use super::worker::Worker;
use crate::plan::model::{Lane, OnFailure, Stage, Step};
use apim_product::NodeName;
use apim_transport::host::HostName;

/// Runs the stage with this index. An error is the reason why the run must end at its barrier.
pub(super) async fn run(run: &mut Run, index: usize) -> Result<(), String> {
    let plan = Arc::clone(&run.shared.plan);
    let Some(stage) = plan.stages.get(index) else { return Ok(()) };
    let begun = Instant::now();
    run.shared.tell(Event::StageStarted(index, stage.title.clone()));
    run.shared.budget.stage_begins(matches!(stage.on_failure, OnFailure::StopAbove(_)));
    let settled = take_settled(run, stage);
    run_lanes(run, stage, index, &settled).await;
    run.shared.tell(Event::StageFinished(index, begun.elapsed()));
    run.result.stages.push((index, begun.elapsed()));
    check_barrier(run, stage)
}

/// Runs the lanes in parallel, limited by the width of the stage and the forks of the settings. A
/// lane that waits for a permit frees its slot.
async fn run_lanes(run: &mut Run, stage: &Stage, index: usize, settled: &BTreeSet<HostName>) {
    let shared = Arc::clone(&run.shared);
    let at_once = stage.width.unwrap_or(usize::MAX).min(shared.settings.forks).max(1);
    let mut queue = queue(run, stage, settled);
    let mut blocked = shared.budget.blocked();
    let mut tasks = JoinSet::new();
    loop {
        if shared.is_interrupted() {
            drop_queued(&shared, &mut queue);
        }
        while (tasks.len() < at_once || *blocked.borrow() >= tasks.len())
            && let Some(host) = queue.pop_front()
        {
            if let Some(worker) = run.workers.remove(&host) {
                tasks.spawn(work(Arc::clone(&shared), worker, index));
            }
        }
        if tasks.is_empty() {
            return;
        }
        tokio::select! {
            joined = tasks.join_next() => if let Some(joined) = joined {
                let is_good = joined.as_ref().is_ok_and(|worker| worker.result.end == HostEnd::Done);
                run.take_back(joined);
                if !is_good && stage.on_failure == OnFailure::StopAtOnce {
                    drop_queued(&shared, &mut queue);
                }
            },
            // The sender lives as long as the run, so this cannot fail.
            _ = blocked.changed() => {}
        }
    }
}

/// Takes survey results that nothing since can have changed. Returns the hosts that need no second
/// check.
fn take_settled(run: &mut Run, stage: &Stage) -> BTreeSet<HostName> {
    let open: BTreeSet<&HostName> =
        stage.lanes.iter().filter(|lane| !run.is_settled(lane)).map(|lane| &lane.host).collect();
    let settled: Vec<&Lane> = stage.lanes.iter().filter(|lane| !open.contains(&lane.host)).collect();
    for lane in &settled {
        run.take_lane_from_survey(lane);
    }
    settled.into_iter().map(|lane| lane.host.clone()).collect()
}

/// Returns the hosts with a lane to run. Hosts with a node that is down come first, because other
/// lanes may wait for it.
fn queue(run: &Run, stage: &Stage, settled: &BTreeSet<HostName>) -> VecDeque<HostName> {
    let shared = &run.shared;
    let is_up = |host: &HostName| {
        !settled.contains(host) && run.workers.get(host).is_some_and(|w| w.result.end == HostEnd::Done)
    };
    let mut hosts: Vec<&Lane> = Vec::new();
    for lane in stage.lanes.iter().filter(|lane| is_up(&lane.host)) {
        let proofs = lane.steps.iter().filter(|step| step.proves_health).filter_map(|step| step.node.clone());
        shared.budget.lane_announced(&lane.host, proofs);
        if !hosts.iter().any(|known| known.host == lane.host) {
            hosts.push(lane);
        }
    }
    let heals = |lane: &Lane| {
        let mut nodes = lane.steps.iter().filter_map(|step| step.node.as_ref());
        nodes.any(|node| shared.budget.is_down(node))
    };
    hosts.sort_by_key(|lane| !heals(lane));
    hosts.into_iter().map(|lane| lane.host.clone()).collect()
}

/// Drops the lanes that have not started.
fn drop_queued(shared: &Shared, queue: &mut VecDeque<HostName>) {
    for host in queue.drain(..) {
        shared.budget.lane_over(&host);
    }
}

async fn work(shared: Arc<Shared>, mut worker: Worker, index: usize) -> Worker {
    let plan = Arc::clone(&shared.plan);
    let lanes = plan.stages.get(index).map(|stage| stage.lanes.iter()).into_iter().flatten();
    let lanes = lanes.filter(|lane| lane.host == worker.host);
    let mut steps: Vec<&Step> = lanes.flat_map(|lane| &lane.steps).collect();
    node_by_node(&mut steps, &|node| shared.budget.is_down(node));
    for (node, others_serve) in healed(&shared, &steps) {
        match others_serve {
            true => traffic::keep_out(&shared, node).await,
            false => traffic::expect_back(&shared, node),
        }
    }
    lane::run(&shared, &mut worker, &steps, Pass::Stage).await;
    let nodes: BTreeSet<&NodeName> = steps.iter().filter_map(|step| step.node.as_ref()).collect();
    for node in nodes {
        let lost = matches!(worker.result.end, HostEnd::Unreachable(..));
        if traffic::reconsider(&shared, node, lost).await {
            shared.budget.not_taken(node, "the run ended before its turn");
        }
    }
    shared.budget.lane_over(&worker.host);
    worker
}

/// Returns the nodes that are down and that `steps` may start, each with whether other nodes of its
/// pool serve. If so, the node must get no requests before it is healthy.
fn healed<'a>(shared: &Shared, steps: &[&'a Step]) -> BTreeMap<&'a NodeName, bool> {
    let works = steps.iter().filter(|step| !step.proves_health && !step.options.check_only);
    let nodes = works.filter_map(|step| Some((step.node.as_ref()?, step.budget.as_ref()?)));
    let is_healed = |node: &NodeName| {
        shared.plan.rotations.contains_key(node)
            && shared.budget.is_down(node)
            && !shared.drained.is_out(node)
    };
    let healed = nodes.filter(|(node, _)| is_healed(node));
    healed.map(|(node, pool)| (node, shared.budget.has_healthy(pool))).collect()
}

/// Sorts the steps of a host so that one node is finished before the next one starts, nodes that
/// are down first. Otherwise a node would wait for a permit while the health check of its neighbour
/// is queued behind it. Steps of the host itself keep their position.
fn node_by_node(steps: &mut [&Step], is_down: &dyn Fn(&NodeName) -> bool) {
    for together in steps.chunk_by_mut(|one, next| one.node.is_some() && next.node.is_some()) {
        let mut order: Vec<(bool, NodeName)> = Vec::new();
        for node in together.iter().filter_map(|step| step.node.as_ref()) {
            if !order.iter().any(|(_, known)| known == node) {
                order.push((!is_down(node), node.clone()));
            }
        }
        order.sort_by_key(|(is_up, _)| *is_up);
        together.sort_by_key(|step| order.iter().position(|(_, node)| Some(node) == step.node.as_ref()));
    }
}

/// Returns whether the run continues. Hosts that failed in an earlier stage do not count again.
fn check_barrier(run: &mut Run, stage: &Stage) -> Result<(), String> {
    let mut failed = Vec::new();
    let mut stopped = false;
    let mut counted = 0_usize;
    for lane in &stage.lanes {
        let Some(worker) = run.workers.get_mut(&lane.host) else { continue };
        if std::mem::replace(&mut worker.is_dropped, worker.result.end != HostEnd::Done) {
            continue;
        }
        counted += 1;
        match worker.result.end {
            HostEnd::Failed(_) | HostEnd::Unreachable(..) => failed.push(lane.host.0.as_str()),
            HostEnd::Stopped(_) => stopped = true,
            HostEnd::Done => {}
        }
    }
    if stopped || run.shared.is_interrupted() {
        return Err("interrupted".to_owned());
    }
    if failed.is_empty() {
        return Ok(());
    }
    let names = failed.join(", ");
    match stage.on_failure {
        OnFailure::StopAtBarrier | OnFailure::StopAtOnce => {
            Err(format!("{names} failed or were unreachable"))
        }
        OnFailure::StopAbove(percent) if failed.len() * 100 > usize::from(percent) * counted => Err(format!(
            "{} of {counted} hosts failed or were unreachable, more than {percent} %: {names}",
            failed.len()
        )),
        OnFailure::StopAbove(_) => Ok(()),
    }
}
