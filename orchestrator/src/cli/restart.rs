//! `restart`: restart nodes, one node of a role at a time.

use super::command::Command;
use super::node_args::NodeArgs;
use crate::app::exit::{Exit, Kind};
use crate::app::node_actions;
use crate::app::rollout::request::Pace;

/// Options of `restart`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    nodes: NodeArgs,
    /// Restart nodes within the disruption budget of each role (the default)
    #[arg(long, conflicts_with = "all_at_once")]
    rolling: bool,
    /// Restart all nodes of a role at the same time; causes an outage
    #[arg(long, requires = "allow_outage")]
    all_at_once: bool,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.nodes.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let pace = if self.all_at_once { Pace::AllAtOnce } else { Pace::Rolling };
        node_actions::restart(self.nodes.into(), pace)
    }
}
