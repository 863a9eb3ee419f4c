//! `diff`: compare the files on the hosts with the files that apply would write. Identical
//! differences are grouped.

use super::command::Command;
use super::options::{FileArgs, OutputArgs, PlayArgs, ReachArgs};
use crate::app::diff::{self, DiffRequest};
use crate::app::exit::{Exit, Kind};

/// Options of `diff`.
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
    /// Reverse the diff: `+` marks lines that only the host has
    #[arg(short = 'R', long)]
    reverse: bool,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, plays, reach, shown, reverse } = *self;
        diff::run(DiffRequest {
            files: files.into(),
            plays: plays.into(),
            reach: reach.into(),
            shown: shown.into(),
            reverse,
        })
    }
}
