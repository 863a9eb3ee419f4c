//! The inputs of a plan: the cluster, the playbook, and the part of it that runs. The errors of all
//! files are reported together.

use crate::app::exit::Exit;
use crate::app::issue::{self, Issue};
use crate::app::options::{Files, Plays};
use crate::app::read::{self, Read};
use crate::app::secret_files;
use apim_documents::inventory::Inventory;
use apim_documents::playbook::tags::Wanted;
use apim_documents::playbook::{self, Playbook};
use apim_product::{Cluster, Draft, StartOrder};
use apim_rollout::artifact::Cache;
use apim_rollout::plan::{LastStage, PlanDraft, PlanInputs, PlanOptions, Source, draft};
use apim_transport::host::HostName;

/// The inputs of a plan.
pub(crate) struct Inputs {
    pub(crate) read: Read,
    pub(crate) playbook: Playbook,
    /// The cluster that disruption budgets refer to, if it differs from the cluster of the plan.
    budget_cluster: Option<Cluster>,
    /// Ansible pattern of the hosts.
    limit: Option<String>,
    tags: Wanted,
    uninstall: Option<Uninstall>,
}

/// Steps that uninstall a host after the playbook.
struct Uninstall {
    host: HostName,
    steps: Vec<Draft>,
    /// Whether no other host has a node: the playbook does not run.
    is_last: bool,
}

impl Inputs {
    /// Reads inventory and playbook.
    pub(crate) fn read(files: &Files, plays: &Plays) -> Result<Self, Exit> {
        let vault = read::vault(files)?;
        // Parse the playbook even if the inventory has errors, to report all of them at once.
        let chosen = plays.playbook.as_deref().map(playbook::load).transpose();
        let read = read::inventory_with(files, &vault).and_then(read::cluster_of);
        let (read, chosen) = match (read, chosen) {
            (Ok(read), Ok(chosen)) => (read, chosen),
            (Err(mut mistakes), Err(more)) => {
                mistakes.0.extend(more.0);
                return Err(mistakes.into());
            }
            (Err(mistakes), Ok(_)) | (Ok(_), Err(mistakes)) => return Err(mistakes.into()),
        };
        let playbook = match chosen {
            Some(playbook) => playbook,
            None => site(read.cluster.start_order())?,
        };
        let tags = Wanted { only: plays.tags.clone(), skip: plays.skip_tags.clone() };
        Ok(Self { read, playbook, budget_cluster: None, limit: files.limit.clone(), tags, uninstall: None })
    }

    /// Reads inventory and playbook, and assigns the certificates.
    pub(crate) fn issued(files: &Files, plays: &Plays, cache: &Cache) -> Result<Self, Exit> {
        let mut inputs = Self::read(files, plays)?;
        inputs.issue(files, cache, Issue::ReportOnly)?;
        Ok(inputs)
    }

    /// Reads inventory and playbook, assigns the certificates and drafts the plan.
    pub(crate) fn drafted(files: &Files, plays: &Plays, cache: &Cache) -> Result<(Self, PlanDraft), Exit> {
        let inputs = Self::issued(files, plays, cache)?;
        let drafted = inputs.draft(PlanOptions::default())?;
        Ok((inputs, drafted))
    }

    /// Assigns the certificates of the nodes; `issue` decides about due ones.
    pub(crate) fn issue(&mut self, files: &Files, cache: &Cache, issue: Issue) -> Result<(), Exit> {
        if self.uninstall.as_ref().is_some_and(|uninstall| uninstall.is_last) {
            return Ok(());
        }
        issue::provide(&mut self.read.cluster, &files.inventory, cache, issue)
    }

    /// Drafts the plan.
    pub(crate) fn draft<'a>(&'a self, options: PlanOptions<'a>) -> Result<PlanDraft, Exit> {
        let Self { read, playbook, limit, tags, uninstall, .. } = self;
        let options = match uninstall {
            None => options,
            Some(Uninstall { host, steps, is_last }) => PlanOptions {
                source: if *is_last { Source::Nothing } else { options.source },
                last_stage: Some(LastStage { title: format!("remove {host}"), host, steps: steps.clone() }),
                ..options
            },
        };
        let inputs = PlanInputs {
            inventory: &read.inventory,
            playbook,
            cluster: &read.cluster,
            limit: limit.as_deref(),
            tags,
        };
        Ok(draft(&inputs, &options)?)
    }

    /// Returns the cluster that disruption budgets refer to.
    pub(crate) fn budget_cluster(&self) -> &Cluster {
        self.budget_cluster.as_ref().unwrap_or(&self.read.cluster)
    }
}

/// An inventory from which one host is removed.
pub(crate) struct Removal {
    inventory: Inventory,
    /// The current cluster, with the host.
    pub(crate) cluster: Cluster,
    host: HostName,
}

impl Removal {
    /// Reads the inventory.
    pub(crate) fn read(files: &Files, host: &HostName) -> Result<Self, Exit> {
        let inventory = read::inventory(files)?;
        let cluster = read::unchecked_of(inventory.clone())?.cluster;
        Ok(Self { inventory, cluster, host: host.clone() })
    }

    /// Returns the input with the host.
    pub(crate) fn whole(&self) -> Read {
        let (inventory, cluster) = (self.inventory.clone(), self.cluster.clone());
        Read { open: secret_files::open(&inventory), inventory, cluster }
    }

    /// Returns the inputs of a plan that reconfigures the other hosts and then uninstalls the host
    /// with `steps`.
    pub(crate) fn inputs(self, plays: &Plays, steps: Vec<Draft>) -> Result<Inputs, Exit> {
        let Self { inventory, cluster, host } = self;
        let playbook = site(cluster.start_order())?;
        let is_last = cluster.nodes().iter().all(|node| node.host == host.0);
        let read = if is_last {
            let open = secret_files::open(&inventory);
            Read { inventory, cluster: cluster.clone(), open }
        } else {
            let mut rest = inventory.clone();
            rest.hosts.retain(|known| known.name != host);
            let read = read::cluster_of(rest)?;
            // The host is still connected to.
            Read { inventory, ..read }
        };
        Ok(Inputs {
            read,
            playbook,
            budget_cluster: Some(cluster),
            limit: Some(format!("all:!{host}")),
            tags: Wanted { only: Vec::new(), skip: plays.skip_tags.clone() },
            uninstall: Some(Uninstall { host, steps, is_last }),
        })
    }
}

fn site(order: StartOrder) -> Result<Playbook, Exit> {
    Ok(playbook::load_built_in(order.playbook())?)
}
