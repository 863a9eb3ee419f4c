//! A rollout that is ready: every file is available locally, every host key is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use apim_protocol::value::Sha256;

use super::draft::Draft;
use super::fetch::FetchedFiles;
use crate::app::inputs::Inputs;
use crate::app::saved_plan::Binding;
use apim_rollout::engine::Settings;
use apim_rollout::plan::model::Plan;
use apim_rollout::probe::Probes;
use apim_transport::ssh::Connector;

/// A rollout that is ready.
pub(crate) struct Ready {
    pub(crate) plan: Arc<Plan>,
    pub(crate) inputs: Inputs,
    pub(crate) settings: Settings,
    /// Sizes in bytes of the artifacts that are available locally.
    pub(crate) sizes: BTreeMap<Sha256, u64>,
    /// Probe URLs that are not healthy yet.
    pub(crate) notes: Vec<String>,
    pub(crate) probes: Option<Probes>,
    pub(crate) binding: Option<Binding>,
    pub(crate) connector: Connector,
}

impl Ready {
    pub(crate) fn new(draft: Draft, files: &FetchedFiles, notes: Vec<String>) -> Self {
        let Draft { inputs, drafted, settings, artifacts: _, probes, binding, connector } = draft;
        let plan = Arc::new(drafted.finish(files));
        let sizes = files.iter().map(|(sha256, (_, size))| (*sha256, *size)).collect();
        Self { plan, inputs, settings, sizes, notes, probes, binding, connector }
    }
}
