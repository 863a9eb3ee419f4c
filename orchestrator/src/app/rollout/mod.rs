//! Runs a plan. [`run`] is the list of phases; each phase is a function of its own.
//!
//! ```text
//! read      inventory, variables, vault, playbook: the cluster
//! issue     certificates that are due
//! draft     the steps, disruption budgets, the saved plan; no host is contacted
//! fetch     artifacts: available locally
//! connect   host keys: all of them are known
//! gate      preflight and saved plan: between the survey and the first change
//! roll      the engine: surveys the hosts, then changes them stage by stage
//! conclude  the result, the record and the exit
//! ```

mod context;
mod draft;
mod fetch;
mod finished;
mod gate;
mod interrupt;
mod ready;
pub(crate) mod request;
mod roll;

pub(crate) use fetch::at_hand;
pub(crate) use finished::{Finished, kind};

use apim_protocol::operation::Mode;

use crate::app::connect::{hosts_of, know_hosts};
use crate::app::exit::{Exit, Kind};
use crate::app::inputs::Inputs;
use crate::app::record::Recording;
use crate::app::{installed, probe, process, read, saved_plan};
use context::Context;
use draft::{Draft, draft};
use fetch::fetch;
use gate::gate;
use interrupt::{interrupt, unless_interrupted};
use ready::Ready;
use request::RolloutRequest;
use roll::roll;

/// Runs the plan of the inventory.
pub(crate) fn run(request: &RolloutRequest) -> Result<Finished, Exit> {
    run_on(request, Inputs::read(&request.files, &request.plays)?)
}

/// Runs the plan of other inputs.
pub(crate) fn run_on(request: &RolloutRequest, mut inputs: Inputs) -> Result<Finished, Exit> {
    refuse_changes(request)?;
    let context = Context::new(request);
    inputs.issue(&request.files, &context.cache, context.due_certificates())?;
    warn(&context, &inputs)?;
    let draft = draft(&context, inputs)?;
    let runtime = process::runtime()?;
    let recording = Recording::begin(request, &draft.inputs, &context.run)?;
    let finished = runtime.block_on(async {
        let interrupt = interrupt();
        let ready = unless_interrupted(prepare(&context, draft, &recording), interrupt.clone()).await?;
        let gate = gate(&context, &ready)?;
        let finished = roll(&context, ready, gate, &recording, interrupt).await;
        saved_plan::refuse(&finished.result.unexpected, "no host was changed", &context.look)?;
        Ok(finished)
    });
    // After a second interrupt, do not wait for blocking file reads.
    runtime.shutdown_background();
    recording.end(finished.as_ref());
    finished
}

/// Refuses a change by a verb that only reads.
fn refuse_changes(request: &RolloutRequest) -> Result<(), Exit> {
    match request.mode {
        Mode::Apply if !request.verb.policy().may_change => {
            Err(Exit::new(Kind::Bug, format!("`{}` must not change hosts", request.verb)))
        }
        _ => Ok(()),
    }
}

/// Prints warnings and notes about the inputs.
fn warn(context: &Context<'_>, inputs: &Inputs) -> Result<(), Exit> {
    let (request, look) = (context.request, &context.look);
    let policy = request.verb.policy();
    read::report(&inputs.read, look)?;
    if policy.warns_about_hooks && !request.reach.no_drain {
        read::report_hooks(&inputs.read.cluster, look)?;
    }
    if policy.warns_about_orphans {
        installed::report(&request.files.inventory, &inputs.read.cluster, look)?;
    }
    Ok(())
}

/// Checks the probe URLs, fetches the artifacts, and collects the host keys.
async fn prepare(context: &Context<'_>, draft: Draft, recording: &Recording) -> Result<Ready, Exit> {
    let notes = probe::check(draft.probes.as_ref(), context.request).await?;
    let files = fetch(&context.cache, &draft.artifacts, &context.look).await?;
    let ready = Ready::new(draft, &files, notes);
    if let Some(binding) = &ready.binding {
        binding.check(&ready.plan, &context.look)?;
    }
    recording.planned(&ready.plan);
    know_hosts(&ready.connector, &hosts_of(&ready.plan), context.look.json).await?;
    Ok(ready)
}
