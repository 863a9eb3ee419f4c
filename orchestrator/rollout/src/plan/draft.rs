//! Drafts a plan from inventory, playbook and cluster. Pure, needs no artifacts, and reports all
//! errors, not only the first.

use apim_protocol::operation::Operation;
use apim_protocol::query::Query;

use super::options::{LastStage, PlanInputs, PlanOptions, Source};
use super::plan_draft::{DraftStage, DraftStep, PlanDraft, changed_nodes, retain};
use super::playbook_stages::{PlaybookStages, playbook_stages};
use super::rotation_stages::rotation_stages;
use super::traffic::Traffic;
use apim_documents::inventory::pattern;
use apim_product::load_balancer::RotationState;
use apim_product::work::Work;
use apim_product::yaml::{Mistakes, Span};
use apim_product::{Cluster, Draft, Node, Role, StepOptions, health};
use apim_transport::host::HostName;

/// Drafts the plan.
///
/// # Errors
/// All errors of the playbook on these hosts.
pub fn draft(inputs: &PlanInputs<'_>, options: &PlanOptions<'_>) -> Result<PlanDraft, Mistakes> {
    let cluster = inputs.cluster;
    let PlaybookStages { mut stages, escalates, left_out } = match &options.source {
        Source::Playbook => playbook_stages(inputs)?,
        Source::Rotation { nodes, state } => {
            PlaybookStages { stages: rotation_stages(cluster, nodes, *state), ..PlaybookStages::default() }
        }
        Source::Nothing => PlaybookStages::default(),
    };
    stages.extend(options.last_stage.as_ref().and_then(last_stage));
    if options.inspects {
        stages.extend(inspection(inputs)?);
    }
    if options.without_hooks {
        stages = without_hooks(stages);
    }
    if !options.roles.is_empty() {
        stages = retain(stages, |step| is_of_role(cluster, options.roles, step));
    }
    if options.undrains {
        let back = undraining(cluster, &stages);
        stages.extend(back);
    }
    if let Some(release) = options.roll_back_to {
        set_release(&mut stages, release);
    }
    let traffic = options.disruption.as_ref();
    let traffic = traffic.map_or_else(Traffic::default, |how| Traffic::of(&stages, cluster, how));
    Ok(PlanDraft { stages, escalates, left_out, traffic })
}

fn last_stage(last: &LastStage<'_>) -> Option<DraftStage> {
    let LastStage { title, host, steps } = last;
    let steps: Vec<DraftStep> = steps.iter().cloned().map(DraftStep::from).collect();
    let lanes = vec![((*host).clone(), steps)];
    (!last.steps.is_empty()).then(|| DraftStage { lanes, ..DraftStage::new(title) })
}

/// Returns a stage that inspects every node on the selected hosts.
fn inspection(inputs: &PlanInputs<'_>) -> Result<Option<DraftStage>, Mistakes> {
    let PlanInputs { inventory, cluster, limit, .. } = inputs;
    let hosts = match limit {
        Some(limit) => pattern::select(inventory, limit, &Span::flag("--limit"))?,
        None => inventory.hosts.iter().collect(),
    };
    let is_selected = |node: &&Node| hosts.iter().any(|host| host.name.0 == node.host);
    let mut stage = DraftStage::new("inspect every node");
    for node in cluster.nodes().iter().filter(is_selected) {
        let query = Query::Inspect(Box::new(health::inspect(cluster, node)));
        let draft = Draft::new(format!("{}: inspect", node.words()), query).of(node);
        let options = StepOptions { ignore_failure: true, check_only: true, ..StepOptions::default() };
        stage.add(&HostName(node.host.clone()), DraftStep { draft, options });
    }
    Ok((!stage.lanes.is_empty()).then_some(stage))
}

fn without_hooks(stages: Vec<DraftStage>) -> Vec<DraftStage> {
    retain(stages, |step| !matches!(step.draft.work, Work::Shift(_)))
}

fn is_of_role(cluster: &Cluster, roles: &[Role], step: &DraftStep) -> bool {
    let node = cluster.nodes().iter().find(|node| Some(&node.name) == step.draft.node.as_ref());
    node.is_some_and(|node| roles.contains(&node.role))
}

/// Returns the stages that undrain the changed nodes on the managed load balancers.
fn undraining(cluster: &Cluster, stages: &[DraftStage]) -> Vec<DraftStage> {
    let changed = changed_nodes(stages);
    let nodes: Vec<&Node> = cluster.nodes().iter().filter(|node| changed.contains(&node.name)).collect();
    without_hooks(rotation_stages(cluster, &nodes, RotationState::InRotation))
}

fn set_release(stages: &mut [DraftStage], release: &str) {
    for (_, steps) in stages.iter_mut().flat_map(|stage| &mut stage.lanes) {
        for step in steps {
            if let Work::Host(Operation::Revert(revert)) = &mut step.draft.work {
                revert.to = Some(release.to_owned());
            }
        }
    }
}
