//! `undrain`: put nodes back in rotation.

use super::command::Command;
use super::node_args::RotationArgs;
use crate::app::exit::{Exit, Kind};
use crate::app::node_actions;

/// Options of `undrain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    nodes: RotationArgs,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.nodes.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        node_actions::undrain(self.nodes.into())
    }
}
