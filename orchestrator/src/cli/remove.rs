//! `remove`: remove a host from the cluster and uninstall its nodes.
//!
//! First the peers are reconfigured without it, one node of a role at a time. Then its nodes are
//! stopped and the installed files are deleted.

use super::command::Command;
use super::options::{FileArgs, OutputArgs, ReachArgs};
use super::probe::ProbeArgs;
use crate::app::exit::{Exit, Kind};
use crate::app::remove::{self, RemoveRequest};

/// Options of `remove`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Host to remove, by its inventory name; delete its lines from the inventory afterwards
    host: String,
    /// Reconfigure only the peers; for a host that no longer exists
    #[arg(long)]
    gone: bool,
    /// Skip the confirmation prompt
    #[arg(short, long)]
    yes: bool,
    /// Show what would change; change nothing
    #[arg(short = 'C', long, conflicts_with = "probe")]
    check: bool,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    probe: ProbeArgs,
    #[command(flatten)]
    shown: OutputArgs,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, host, gone, yes, check, reach, probe, shown } = *self;
        remove::run(RemoveRequest {
            files: files.into(),
            host,
            gone,
            yes,
            check,
            reach: reach.into(),
            probe: probe.into(),
            shown: shown.into(),
        })
    }
}
