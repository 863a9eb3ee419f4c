//! The request of a rollout.

use apim_protocol::operation::Mode;

use crate::app::options::{Files, Plays, ProbeOptions, Reach, Shown};
use crate::app::verb::Verb;
use apim_product::Role;
use apim_product::load_balancer::RotationState;
use apim_rollout::saved_plan::SavedPlan;

/// A plan to run: inputs, nodes and options.
pub(crate) struct RolloutRequest {
    pub(crate) verb: Verb,
    pub(crate) mode: Mode,
    pub(crate) files: Files,
    pub(crate) plays: Plays,
    pub(crate) reach: Reach,
    pub(crate) shown: Shown,
    /// Whether to show the diffs of text files.
    pub(crate) diff: bool,
    pub(crate) scope: Scope,
    pub(crate) saved_plan: SavedPlanUse,
    pub(crate) probe: ProbeOptions,
}

/// Options that every verb with a plan has.
pub(crate) struct Common {
    pub(crate) files: Files,
    pub(crate) reach: Reach,
    pub(crate) shown: Shown,
}

/// Node selection, pace and release overrides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// Limit to nodes of these roles; empty selects all.
    pub(crate) roles: Vec<Role>,
    pub(crate) pace: Pace,
    /// Only drain or undrain nodes.
    pub(crate) rotation: Option<RotationChange>,
    /// Release to roll back to; `None` is the previous one.
    pub(crate) roll_back_to: Option<String>,
    /// Target version that overrides the inventory; already applied when the files were read.
    pub(crate) upgrade_to: Option<String>,
}

/// Draining or undraining nodes.
#[derive(Debug, Clone)]
pub(crate) struct RotationChange {
    /// Ansible pattern of the hosts.
    pub(crate) pattern: String,
    pub(crate) flow: RotationState,
}

/// How many nodes are taken down at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Within the disruption budget, with the first node of a role as a canary.
    #[default]
    Rolling,
    /// All nodes of a role at once.
    AllAtOnce,
    /// Nodes are stopped and not started again in this run.
    StopOnly,
}

/// Whether a run saves a plan or applies a saved one.
#[derive(Debug, Default)]
pub(crate) enum SavedPlanUse {
    /// Neither.
    #[default]
    None,
    /// Save the plan.
    Save,
    /// Apply this saved plan.
    Apply(Box<SavedPlan>),
}

impl RolloutRequest {
    /// Returns the request of a check with the default playbook and every node.
    pub(crate) fn check(verb: Verb, common: Common) -> Self {
        let Common { files, reach, shown } = common;
        Self {
            verb,
            mode: Mode::Check,
            files,
            plays: Plays::default(),
            reach,
            shown,
            diff: false,
            scope: Scope::default(),
            saved_plan: SavedPlanUse::None,
            probe: ProbeOptions::default(),
        }
    }

    /// Replaces the playbook.
    pub(crate) fn with_playbook(mut self, name: &str) -> Self {
        self.plays.playbook = Some(name.to_owned());
        self
    }

    /// Returns whether all files to send must be available locally. A saved plan contains their
    /// digests.
    pub(crate) fn needs_files(&self) -> bool {
        self.mode == Mode::Apply || !matches!(self.saved_plan, SavedPlanUse::None)
    }
}
