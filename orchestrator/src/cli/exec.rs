//! `exec`: run a command on hosts in parallel. Identical output is grouped.

use std::time::Duration;

use super::command::Command;
use super::options::{FileArgs, OutputArgs, ReachArgs};
use super::time_args;
use crate::app::exit::{Exit, Kind};
use crate::app::query::exec::{self, ExecRequest};
use apim_protocol::value::AbsPath;

/// Options of `exec`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Hosts, as an Ansible pattern such as `gateway:!gw3`
    pattern: String,
    #[command(flatten)]
    reach: ReachArgs,
    /// Run the command with `/bin/sh -c`, for pipes and variables
    #[arg(long)]
    shell: bool,
    /// Run the command as root or `ansible_become_user`, even if the inventory sets
    /// `ansible_become: false`
    #[arg(short = 'b', long = "become", overrides_with = "no_become")]
    escalate: bool,
    /// Run the command as the login account
    #[arg(long)]
    no_become: bool,
    /// Stop the command after this time on each host, such as 30s or 10m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time_args::duration)]
    timeout: Duration,
    /// Take no host lock and write no journal entry; for commands that change nothing
    #[arg(long)]
    read_only: bool,
    /// Run the command in this folder on the host [default: /]
    #[arg(long, value_name = "DIR", value_parser = AbsPath::parse)]
    chdir: Option<AbsPath>,
    /// Command and arguments; not interpreted by a shell unless --shell is set
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
    #[command(flatten)]
    shown: OutputArgs,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.shown.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self {
            files,
            pattern,
            reach,
            shell,
            escalate,
            no_become,
            timeout,
            read_only,
            chdir,
            command,
            shown,
        } = *self;
        exec::run(&ExecRequest {
            files: files.into(),
            pattern,
            reach: reach.into(),
            shell,
            escalate,
            no_become,
            timeout,
            read_only,
            chdir,
            command,
            shown: shown.into(),
        })
    }
}
