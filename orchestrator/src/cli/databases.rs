//! `databases`: show database status, or print the setup statements.

use super::command::Command;
use super::options::{FileArgs, OutputArgs, ReachArgs};
use crate::app::databases::{self, DatabasesRequest};
use crate::app::exit::{Exit, Kind};

/// Options of `databases`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    shown: OutputArgs,
    /// Print the SQL statements that create databases, users and schemas; contacts no host
    #[arg(long)]
    print_sql: bool,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, reach, shown, print_sql } = *self;
        databases::run(DatabasesRequest {
            files: files.into(),
            reach: reach.into(),
            shown: shown.into(),
            print_sql,
        })
    }
}
