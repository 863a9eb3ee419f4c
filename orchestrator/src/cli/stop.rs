//! `stop`: stop nodes until they are started again.

use super::command::Command;
use super::node_args::NodeArgs;
use crate::app::exit::{Exit, Kind};
use crate::app::node_actions;

/// Options of `stop`.
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
        node_actions::stop(self.nodes.into())
    }
}
