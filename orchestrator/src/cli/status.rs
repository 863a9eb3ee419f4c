//! `status`: state, health and drift of every node; once or continuously.

use std::time::Duration;

use super::command::Command;
use super::options::{FileArgs, OutputArgs, ReachArgs};
use super::time_args;
use crate::app::exit::{Exit, Kind};
use crate::app::query::status::{self, StatusRequest};

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    shown: OutputArgs,
    /// Refresh at this interval until Ctrl-C [default: 2s]
    #[arg(short, long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "2s", value_parser = time_args::duration)]
    watch: Option<Duration>,
    /// Check for drift: the changes that apply would make
    #[arg(long, value_enum, default_value_t = Drift::On)]
    drift: Drift,
}

/// Whether to check for drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Drift {
    /// Check every step of the playbook.
    On,
    /// Check only the nodes.
    Off,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, reach, shown, watch, drift } = *self;
        status::run(StatusRequest {
            files: files.into(),
            reach: reach.into(),
            shown: shown.into(),
            watch,
            drift: drift == Drift::On,
        })
    }
}
