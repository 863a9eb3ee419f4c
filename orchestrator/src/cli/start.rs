//! `start`: start stopped nodes in the start order of the inventory.

use super::command::Command;
use super::node_args::NodeArgs;
use crate::app::exit::{Exit, Kind};
use crate::app::node_actions;

/// Options of `start`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    nodes: NodeArgs,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.nodes.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        node_actions::start(self.nodes.into())
    }
}
