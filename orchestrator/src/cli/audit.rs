//! `audit`: the production checklist, with results and evidence.

use super::command::Command;
use super::options::{FileArgs, OutputArgs, ReachArgs};
use crate::app::audit::{self, AuditRequest};
use crate::app::exit::{Exit, Kind};

/// Options of `audit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    shown: OutputArgs,
    /// Contact no host; audit the inventory only
    #[arg(long)]
    offline: bool,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, reach, shown, offline } = *self;
        audit::run(AuditRequest { files: files.into(), reach: reach.into(), shown: shown.into(), offline })
    }
}
