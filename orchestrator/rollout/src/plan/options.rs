//! Inputs and options of a plan.

use apim_documents::inventory::Inventory;
use apim_documents::playbook::Playbook;
use apim_documents::playbook::tags::Wanted;
use apim_product::load_balancer::RotationState;
use apim_product::{Cluster, Draft, Node, Role};
use apim_transport::host::HostName;

/// Inputs of a plan.
#[derive(Debug, Clone, Copy)]
pub struct PlanInputs<'a> {
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

/// Options of a plan. The default is the whole playbook, without disruption.
#[derive(Default)]
pub struct PlanOptions<'a> {
    /// Where the steps come from.
    pub source: Source<'a>,
    /// A stage on one host after all others.
    pub last_stage: Option<LastStage<'a>>,
    /// Whether every node on the selected hosts is inspected after all other stages.
    pub inspects: bool,
    /// Whether steps that call hooks are removed.
    pub without_hooks: bool,
    /// Roles whose steps are kept; empty keeps all steps.
    pub roles: &'a [Role],
    /// Whether the nodes of the plan are undrained on the managed load balancers after their health
    /// checks. They were drained when they were stopped.
    pub undrains: bool,
    /// Release for rollbacks: this name, or a name that starts with it. The default is the previous
    /// release of each host.
    pub roll_back_to: Option<&'a str>,
    /// How the plan takes nodes down; `None` for a plan that changes nothing.
    pub disruption: Option<Disruption<'a>>,
}

/// Where the steps of a plan come from.
#[derive(Default)]
pub enum Source<'a> {
    /// The tasks of the playbook.
    #[default]
    Playbook,
    /// Draining or undraining nodes.
    Rotation {
        /// Nodes to drain or undrain.
        nodes: Vec<&'a Node>,
        /// State of the nodes afterwards.
        state: RotationState,
    },
    /// No steps, apart from the last stage.
    Nothing,
}

/// A stage on one host.
pub struct LastStage<'a> {
    /// Shown to users, such as `remove gw2`.
    pub title: String,
    /// Host that runs the steps.
    pub host: &'a HostName,
    /// Steps, in order. Without steps there is no stage.
    pub steps: Vec<Draft>,
}

/// How a plan takes nodes down.
#[derive(Debug, Clone, Copy)]
pub struct Disruption<'a> {
    /// The cluster before a host is removed. External load balancers still know that host.
    pub budget_cluster: &'a Cluster,
    /// Whether nodes are drained before they are taken down.
    pub drains: bool,
    /// Whether the nodes of the plan stay drained after the run.
    pub stays_drained: bool,
}
