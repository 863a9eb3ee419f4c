//! `plan`: check every host and show what apply would change.

use std::path::PathBuf;

use super::command::Command;
use super::options::{FileArgs, OutputArgs, PlayArgs, ReachArgs};
use crate::app::exit::{Exit, Kind};
use crate::app::plan::{self, PlanRequest};

/// Options of `plan`.
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
    /// Exit with code 3 if changes are pending
    #[arg(long)]
    exit_code: bool,
    /// Contact no host; show stages and steps only
    #[arg(long, conflicts_with = "exit_code")]
    offline: bool,
    /// Save the plan to a file for `apply --plan`; issues due certificates and fetches missing
    /// files
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    out: Option<PathBuf>,
    /// Do not show the diffs of text files
    #[arg(long)]
    no_diff: bool,
    /// Show the diffs of text files (the default)
    #[arg(long, overrides_with = "no_diff")]
    diff: bool,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, plays, reach, shown, exit_code, offline, out, no_diff, diff } = *self;
        plan::run(PlanRequest {
            files: files.into(),
            plays: plays.into(),
            reach: reach.into(),
            shown: shown.into(),
            exit_code,
            offline,
            out,
            no_diff,
            diff,
        })
    }
}
