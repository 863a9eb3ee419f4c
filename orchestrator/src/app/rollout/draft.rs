//! Phase `draft`: drafts the plan and checks what can be checked without a host.

use std::sync::Arc;
use std::time::Duration;

use apim_protocol::operation::Mode;

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
use apim_product::load_balancer::RotationState;
use apim_product::{Artifact, Role};
use apim_rollout::engine::{Caller, Limits, Settings, Timeouts};
use apim_rollout::local_tasks::hooks::LocalHooks;
use apim_rollout::plan::{Disruption, PlanDraft, PlanOptions, Source};
use apim_rollout::probe::Probes;
use apim_transport::ssh::Connector;

/// A drafted rollout. No host was contacted yet.
pub(crate) struct Draft {
    pub(crate) inputs: Inputs,
    pub(crate) drafted: PlanDraft,
    pub(crate) settings: Settings,
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) probes: Option<Probes>,
    pub(crate) binding: Option<Binding>,
    pub(crate) connector: Connector,
}

/// Drafts the plan.
pub(crate) fn draft(context: &Context<'_>, inputs: Inputs) -> Result<Draft, Exit> {
    let Context { request, look, cache, .. } = context;
    let drafted = plan_draft(context, &inputs)?;
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

/// Drafts the steps for the selected nodes. A plan that changes hosts drains the nodes that it takes
/// down.
fn plan_draft(context: &Context<'_>, inputs: &Inputs) -> Result<PlanDraft, Exit> {
    let request = context.request;
    let (scope, reach) = (&request.scope, &request.reach);
    let source = match &scope.rotation {
        Some(change) => {
            let nodes = disruption::rotation_nodes(&inputs.read, &request.files, change, reach.allow_outage)?;
            Source::Rotation { nodes, state: change.flow }
        }
        None => Source::Playbook,
    };
    let disruption = Disruption {
        budget_cluster: inputs.budget_cluster(),
        drains: !reach.no_drain,
        stays_drained: scope.rotation.as_ref().is_some_and(|change| change.flow == RotationState::Drained),
    };
    let drafted = inputs.draft(PlanOptions {
        source,
        without_hooks: reach.no_drain,
        roles: &scope.roles,
        undrains: request.verb.policy().undrains && !reach.no_drain,
        roll_back_to: scope.roll_back_to.as_deref(),
        disruption: (request.mode == Mode::Apply).then_some(disruption),
        ..PlanOptions::default()
    })?;
    if !scope.roles.is_empty() {
        refuse_empty(&drafted, &scope.roles)?;
    }
    Ok(drafted)
}

/// Refuses roles without a selected node: the run would look up to date.
fn refuse_empty(drafted: &PlanDraft, roles: &[Role]) -> Result<(), Exit> {
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
