//! `inventory`: show hosts, groups and variables in the format of `ansible-inventory`.

use super::command::Command;
use super::options::{FileArgs, OutputFormat};
use crate::app::exit::{Exit, Kind};
use crate::app::inventory::{self, InventoryRequest};

/// Options of `inventory`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Show all hosts and groups with their variables
    #[arg(long, group = "what")]
    list: bool,
    /// Show groups and hosts as a tree
    #[arg(long, group = "what", conflicts_with = "limit")]
    graph: bool,
    /// Show the variables of one host
    #[arg(long, group = "what", value_name = "NAME", conflicts_with = "limit")]
    host: Option<String>,
    /// Print YAML instead of JSON
    #[arg(short, long)]
    yaml: bool,
    /// Format of warnings and errors
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Human)]
    output: OutputFormat,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        self.output.is_json()
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self { files, list: _, graph, host, yaml, output } = *self;
        inventory::run(&InventoryRequest { files: files.into(), graph, host, yaml, json: output.is_json() })
    }
}
