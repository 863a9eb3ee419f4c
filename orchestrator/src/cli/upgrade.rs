//! `upgrade`: apply an inventory that names another version or zip, after showing which node moves
//! from which release to which.

use super::command::Command;
use super::options::{FileArgs, OutputArgs, ReachArgs};
use super::probe::ProbeArgs;
use crate::app::exit::{Exit, Kind};
use crate::app::upgrade::{self, UpgradeRequest};

/// Options of `upgrade`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    reach: ReachArgs,
    /// Upgrade to this version; overrides `apim.version` (the inventory must list the digests of
    /// its zips by file name)
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Write the version to the inventory after all nodes run it; changes only that value
    #[arg(long, requires = "to", conflicts_with = "check")]
    write: bool,
    /// Skip the confirmation prompt
    #[arg(short, long)]
    yes: bool,
    /// Show what would be upgraded and the required database changes; change nothing
    #[arg(short = 'C', long, conflicts_with = "probe")]
    check: bool,
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
        let Self { files, reach, to, write, yes, check, probe, shown } = *self;
        upgrade::run(UpgradeRequest {
            files: files.into(),
            reach: reach.into(),
            to,
            write,
            yes,
            check,
            probe: probe.into(),
            shown: shown.into(),
        })
    }
}
