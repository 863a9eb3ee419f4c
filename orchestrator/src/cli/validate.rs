//! `validate`: check all input files without contacting a host.

use super::command::Command;
use super::options::{FileArgs, OutputArgs, PlayArgs};
use crate::app::exit::{Exit, Kind};
use crate::app::validate::{self, ValidateRequest};

/// Options of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    plays: PlayArgs,
    #[command(flatten)]
    shown: OutputArgs,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, plays, shown } = *self;
        validate::run(&ValidateRequest { files: files.into(), plays: plays.into(), shown: shown.into() })
    }
}
