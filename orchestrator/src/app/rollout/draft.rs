//! Phase `draft`: drafts the plan and checks what can be checked without a host.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::fetch;
use super::request::Pace;
use crate::app::connect;
use crate::app::disruption;
use crate::app::exit::{Exit, Kind};
use crate::app::inputs::Inputs;
use crate::app::probe;
use crate::app::process;
use crate::app::saved_plan::Binding;
use apim_product::{Artifact, Role};
use apim_rollout::engine::{Caller, Limits, Settings, Timeouts};
use apim_rollout::local_tasks::hooks::LocalHooks;
use apim_rollout::plan::Drafted;
use apim_rollout::probe::Probes;
use apim_transport::ssh::Connector;

/// A drafted rollout. No host was contacted yet.
pub(crate) struct Draft {
    pub(crate) inputs: Inputs,
    pub(crate) drafted: Drafted,
    pub(crate) settings: Settings,
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) probes: Option<Probes>,
    pub(crate) binding: Option<Binding>,
    pub(crate) connector: Connector,
}

/// Drafts the plan.
pub(crate) fn draft(context: &Context<'_>, inputs: Inputs) -> Result<Draft, Exit> {
    let Context { request, look, cache, .. } = context;
    let drafted = steps(context, &inputs)?;
    let limits = disruption::limits(inputs.budget_cluster(), &request.reach, request.scope.pace);
    if request.scope.pace == Pace::StopOnly {
        disruption::refuse(&inputs.read.cluster, &drafted, &limits)?;
    }
    let probes = probe::prepare(&request.probe, &inputs.read.cluster, &request.files.inventory)?;
    let artifacts = fetch::needed(&inputs.read.cluster, &drafted, cache, request.needs_files());
    let binding = Binding::begin(request, &inputs.read, &inputs.playbook, &artifacts, look)?;
    let connector = connect::connector(&inputs.read.inventory, &drafted, &request.reach)?;
    let settings = settings(context, &inputs, limits);
    Ok(Draft { inputs, drafted, settings, artifacts, probes, binding, connector })
}

/// Returns the steps for the selected nodes.
fn steps(context: &Context<'_>, inputs: &Inputs) -> Result<Drafted, Exit> {
    let request = context.request;
    let (scope, reach, cluster) = (&request.scope, &request.reach, &inputs.read.cluster);
    let mut drafted = match &scope.rotation {
        Some(change) => disruption::shifted(&inputs.read, &request.files, change, reach.allow_outage)?,
        None => inputs.draft()?,
    };
    if reach.no_drain {
        drafted.leave_hooks_alone();
    }
    if !scope.roles.is_empty() {
        drafted.keep_roles(cluster, &scope.roles);
        refuse_empty(&drafted, &scope.roles)?;
    }
    if request.verb.policy().undrains && !reach.no_drain {
        drafted.put_back(cluster);
    }
    if let Some(release) = &scope.roll_back_to {
        drafted.go_back_to(release);
    }
    Ok(drafted)
}

/// Refuses roles without a selected node: the run would look up to date.
fn refuse_empty(drafted: &Drafted, roles: &[Role]) -> Result<(), Exit> {
    if !drafted.nodes().is_empty() {
        return Ok(());
    }
    let roles: Vec<&str> = roles.iter().map(|role| role.group()).collect();
    let exit = Exit::new(Kind::Usage, format!("no selected host runs a {} node", roles.join(" or ")));
    Err(exit.hint("`apim-deploy graph` shows the role of each node"))
}

fn settings(context: &Context<'_>, inputs: &Inputs, limits: Limits) -> Settings {
    let Context { request, cache, run, .. } = context;
    let (verb, playbook) = (request.verb, &inputs.playbook.name);
    Settings {
        forks: usize::from(request.reach.forks),
        limits,
        run: run.clone(),
        operator: process::operator(),
        purpose: format!("{verb} {playbook} of {}", process::absolute(&request.files.inventory).display()),
        timeouts: Timeouts {
            lock: Duration::from_secs(request.reach.wait_for_lock.into()),
            ..Timeouts::default()
        },
        outliner: Some(fetch::outliner(cache)),
        hooks: Some(Caller(Arc::new(LocalHooks))),
        ..Settings::new(request.mode, verb.name())
    }
}
