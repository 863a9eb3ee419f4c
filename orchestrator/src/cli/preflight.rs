//! `preflight`: check host prerequisites. Also provides the preflight gate that apply runs between
//! checking and changing hosts.

use super::command::Command;
use super::options::{FileArgs, OutputArgs, ReachArgs};
use crate::app::exit::{Exit, Kind};
use crate::app::preflight::{self, PreflightRequest};

/// Options of `preflight`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
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
        let Self { files, reach, shown } = *self;
        preflight::run(PreflightRequest { files: files.into(), reach: reach.into(), shown: shown.into() })
    }
}
