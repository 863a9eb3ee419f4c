//! `apply`: apply the inventory to the hosts.

use std::path::PathBuf;

use super::command::Command;
use super::options::{FileArgs, OutputArgs, PlayArgs, ReachArgs};
use super::probe::ProbeArgs;
use crate::app::apply::{self, ApplyRequest};
use crate::app::exit::{Exit, Kind};

/// Options of `apply`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    plays: PlayArgs,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    shown: OutputArgs,
    /// Show what would change; change nothing
    #[arg(short = 'C', long, conflicts_with = "probe")]
    check: bool,
    /// Show the diffs of text files
    #[arg(short = 'D', long)]
    diff: bool,
    /// Apply the saved plan of `plan --out`; exit with code 4 if it is stale
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    probe: ProbeArgs,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, plays, reach, shown, check, diff, plan, probe } = *self;
        apply::run(ApplyRequest {
            files: files.into(),
            plays: plays.into(),
            reach: reach.into(),
            shown: shown.into(),
            check,
            diff,
            plan,
            probe: probe.into(),
        })
    }
}
