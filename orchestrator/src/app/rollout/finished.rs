//! A finished rollout.

use std::collections::BTreeMap;
use std::sync::Arc;

use apim_protocol::value::Sha256;

use crate::app::exit::{Exit, Kind};
use crate::app::saved_plan::Binding;
use crate::app::secret_files;
use crate::report::{self, Look, NodeTitles};
use apim_product::Cluster;
use apim_rollout::engine::RunResult;
use apim_rollout::plan::model::Plan;
use apim_rollout::probe::Sum;

/// A finished rollout.
pub(crate) struct Finished {
    pub(crate) plan: Arc<Plan>,
    pub(crate) cluster: Cluster,
    /// Titles of all nodes, of a removed host too.
    pub(crate) titles: NodeTitles,
    pub(crate) result: RunResult,
    pub(crate) look: Look,
    /// Sizes in bytes of the artifacts that are available locally.
    pub(crate) sizes: BTreeMap<Sha256, u64>,
    /// Local files with secrets that others can read.
    pub(crate) open: Vec<secret_files::Open>,
    /// Input of the plan to save.
    pub(crate) binding: Option<Binding>,
    /// Results of the availability probes.
    pub(crate) probed: Vec<Sum>,
}

impl Finished {
    /// Returns the exit kind; a failed probe request makes it a failure.
    pub(crate) fn kind(&self) -> Kind {
        match kind(&self.result) {
            Kind::Converged if !self.probed.iter().all(Sum::is_good) => Kind::Failed,
            kind => kind,
        }
    }

    /// Prints the recap and returns the exit kind.
    pub(crate) fn conclude(&self) -> Result<Kind, Exit> {
        report::conclude(&self.plan, &self.result, &self.probed, &self.titles, &self.look)?;
        Ok(self.kind())
    }
}

/// Returns the exit kind of a run, without its probes.
pub(crate) fn kind(result: &RunResult) -> Kind {
    match (result.interrupted, result.is_success()) {
        (true, _) => Kind::Interrupted,
        (false, true) => Kind::Converged,
        (false, false) => Kind::Failed,
    }
}
