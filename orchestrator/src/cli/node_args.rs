//! Options shared by the verbs that act on selected nodes: `restart`, `stop`, `start`, `drain` and
//! `undrain`.

use super::options::{FileArgs, OutputArgs, ReachArgs, role};
use super::probe::ProbeArgs;
use crate::app::node_actions::{NodeRequest, RotationRequest};
use crate::app::rollout::request::Common;
use apim_product::Role;

/// Node selection of `restart`, `stop` and `start`.
#[derive(Debug, clap::Args)]
pub(super) struct NodeArgs {
    #[command(flatten)]
    pub(super) files: FileArgs,
    /// Limit to nodes of this role: control_plane, key_manager, gateway, traffic_manager,
    /// all_in_one (repeatable)
    #[arg(short, long, value_name = "ROLE", value_delimiter = ',', value_parser = role)]
    pub(super) role: Vec<Role>,
    #[command(flatten)]
    pub(super) reach: ReachArgs,
    #[command(flatten)]
    pub(super) shown: OutputArgs,
    /// Show what would be done; change nothing
    #[arg(short = 'C', long, conflicts_with = "probe")]
    pub(super) check: bool,
    #[command(flatten)]
    pub(super) probe: ProbeArgs,
}

/// Options of `drain` and `undrain`.
#[derive(Debug, clap::Args)]
pub(super) struct RotationArgs {
    #[command(flatten)]
    pub(super) files: FileArgs,
    /// Hosts of the nodes, as an Ansible pattern such as `gw1`
    #[arg(value_name = "PATTERN")]
    pub(super) pattern: String,
    #[command(flatten)]
    pub(super) reach: ReachArgs,
    #[command(flatten)]
    pub(super) shown: OutputArgs,
    /// Show what would be done; change nothing
    #[arg(short = 'C', long, conflicts_with = "probe")]
    pub(super) check: bool,
    #[command(flatten)]
    pub(super) probe: ProbeArgs,
}

impl From<NodeArgs> for NodeRequest {
    fn from(args: NodeArgs) -> Self {
        let NodeArgs { files, role: roles, reach, shown, check, probe } = args;
        let common = Common { files: files.into(), reach: reach.into(), shown: shown.into() };
        Self { common, roles, check, probe: probe.into() }
    }
}

impl From<RotationArgs> for RotationRequest {
    fn from(args: RotationArgs) -> Self {
        let RotationArgs { files, pattern, reach, shown, check, probe } = args;
        let common = Common { files: files.into(), reach: reach.into(), shown: shown.into() };
        Self { common, pattern, check, probe: probe.into() }
    }
}
