//! `history`: the runs started from this machine, and the integrity of their records.

use std::path::PathBuf;

use clap::Subcommand;

use super::command::Command;
use super::options::{FileArgs, OutputArgs, OutputFormat, ReachArgs};
use super::time_args;
use crate::app::exit::{Exit, Kind};
use crate::app::history::{self, HistoryRequest, RunSelection};
use crate::app::query::journals::{self, JournalsRequest};

/// Default number of runs to list.
const LISTED: usize = 20;

/// Options of `history`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// List only runs on this inventory
    inventory: Option<PathBuf>,
    /// List this many of the latest runs; 0 lists all
    #[arg(short = 'n', long, value_name = "N", default_value_t = LISTED)]
    last: usize,
    #[command(flatten)]
    from: RecordArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show one run: changes by host, and the result
    Show(Show),
    /// Verify the integrity of all records
    Verify(RecordArgs),
    /// Show the journals of the hosts; verify their integrity
    Hosts(Box<HostsArgs>),
}

/// One run.
#[derive(Debug, clap::Args)]
struct Show {
    /// Run id, or a unique prefix of it
    run: String,
    /// Also show unchanged steps
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    from: RecordArgs,
}

/// State folder and output format.
#[derive(Debug, clap::Args)]
struct RecordArgs {
    /// Read run records from this folder [default: $XDG_STATE_HOME/apim-deploy]
    #[arg(long, value_name = "DIR", env = "APIM_DEPLOY_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Human)]
    output: OutputFormat,
}

/// Options of `history hosts`.
#[derive(Debug, clap::Args)]
struct HostsArgs {
    #[command(flatten)]
    files: FileArgs,
    /// Hosts, as an Ansible pattern [default: all]
    pattern: Option<String>,
    /// Show only entries of this run, by id or prefix
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Show only entries since a duration ago (2h) or a time (2026-11-22T05:00:00Z)
    #[arg(short, long, value_name = "TIME", value_parser = time_args::since)]
    since: Option<u64>,
    /// Show this many of the latest entries per host; 0 shows up to 5000 [default: 20; 0 with --run
    /// or --since]
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<u32>,
    /// Group entries by host instead of merging them by time
    #[arg(long)]
    by_host: bool,
    /// Only verify the integrity of the journals
    #[arg(long, conflicts_with_all = ["run", "since", "lines", "by_host"])]
    verify: bool,
    #[command(flatten)]
    reach: ReachArgs,
    #[command(flatten)]
    shown: OutputArgs,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        match &self.what {
            Some(What::Show(show)) => show.from.output.is_json(),
            Some(What::Verify(from)) => from.output.is_json(),
            Some(What::Hosts(hosts)) => hosts.shown.is_json(),
            None => self.from.output.is_json(),
        }
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { what, inventory, last, from } = *self;
        match what {
            Some(What::Show(Show { run, verbose, from })) => history::show(&from.into(), &run, verbose),
            Some(What::Verify(from)) => history::verify(&from.into()),
            Some(What::Hosts(hosts)) => journals::run(&(*hosts).into()),
            None => history::list(&from.into(), &RunSelection { inventory, last }),
        }
    }
}

impl From<RecordArgs> for HistoryRequest {
    fn from(RecordArgs { state_dir, output }: RecordArgs) -> Self {
        Self { state_dir, json: output.is_json() }
    }
}

impl From<HostsArgs> for JournalsRequest {
    fn from(args: HostsArgs) -> Self {
        let HostsArgs { files, pattern, run, since, lines, by_host, verify, reach, shown } = args;
        Self {
            files: files.into(),
            pattern,
            run,
            since,
            lines,
            by_host,
            verify,
            reach: reach.into(),
            shown: shown.into(),
        }
    }
}
