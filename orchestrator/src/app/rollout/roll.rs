//! Phases `survey` and `roll`: runs the plan, with availability probes, records and progress.

use std::sync::Arc;
use std::time::Duration;

use apim_protocol::operation::Mode;
use tokio::sync::{mpsc, watch};

use super::context::Context;
use super::finished::Finished;
use super::gate::Gate;
use super::ready::Ready;
use crate::app::probe;
use crate::app::record::Recording;
use crate::report;
use apim_rollout::engine::{self, Interrupt, Settings};
use apim_rollout::local_tasks::database::Databases;
use apim_rollout::probe::Probing;
use apim_transport::session::Connect;

/// Timeout for the reporter to print its last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Runs the plan: surveys the hosts, passes the gate, and changes the hosts stage by stage.
pub(crate) async fn roll(
    context: &Context<'_>,
    ready: Ready,
    gate: Gate,
    recording: &Recording,
    interrupt: watch::Receiver<Interrupt>,
) -> Finished {
    let Ready { plan, inputs, settings, sizes, notes, probes, binding, connector } = ready;
    let look = context.look;
    let (events, happened) = mpsc::unbounded_channel();
    let probing = probes
        .filter(|_| context.request.mode == Mode::Apply)
        .map(|probes| probe::begin(&probes, &plan, &events, notes));
    let settings = Settings {
        judge: gate.preflight,
        confirm: gate.saved_plan,
        halt: probing.as_ref().map(Probing::halted),
        ..settings
    };
    let happened = match &probing {
        Some(probing) => probing.track(happened),
        None => happened,
    };
    let shown = report::show(Arc::clone(&plan), look, recording.hears(happened));
    let connect: Arc<dyn Connect> = Arc::new(connector);
    let databases = Arc::new(Databases::new(Arc::clone(&connect)));
    let result =
        engine::run(Arc::clone(&plan), connect, databases, settings, events, interrupt.clone()).await;
    let probed = match probing {
        Some(probing) => probing.end(*interrupt.borrow() == Interrupt::Quit).await,
        None => Vec::new(),
    };
    // The reporter ends when the engine closes its channel; do not wait longer after a second
    // interrupt.
    drop(tokio::time::timeout(LAST_LINES, shown).await);
    let nodes = inputs.budget_cluster().nodes().iter();
    let titles = nodes.map(|node| (node.name.clone(), node.words())).collect();
    let read = inputs.read;
    Finished { plan, cluster: read.cluster, titles, result, look, sizes, open: read.open, binding, probed }
}
