//! `facts`: the facts that agents collect on their hosts.

use super::command::Command;
use super::options::{FileArgs, OutputArgs, ReachArgs};
use crate::app::exit::{Exit, Kind};
use crate::app::query::facts::{self, FactsRequest};

/// Options of `facts`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Hosts, as an Ansible pattern [default: all]
    pattern: Option<String>,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    shown: OutputArgs,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, pattern, reach, shown } = *self;
        facts::run(&FactsRequest { files: files.into(), pattern, reach: reach.into(), shown: shown.into() })
    }
}
