//! `inventory`: hosts, groups and variables, as `ansible-inventory` shows them.

use super::exit::{Exit, Kind};
use super::options::{Files, Output};
use super::read;
use crate::inventory::{Host, pattern, show};
use crate::report::{Look, say};
use crate::yaml::Span;

/// Options of `inventory`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// All hosts and groups with their variables
    #[arg(long, group = "what")]
    list: bool,
    /// Groups and hosts as a tree
    #[arg(long, group = "what", conflicts_with = "limit")]
    graph: bool,
    /// The variables of one host
    #[arg(long, group = "what", value_name = "NAME", conflicts_with = "limit")]
    host: Option<String>,
    /// YAML in place of JSON
    #[arg(short, long)]
    yaml: bool,
    /// How warnings and mistakes are told: in words for people, or as one JSON object per line
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    pub(super) output: Output,
}

pub(super) fn run(args: &Args) -> Result<Kind, Exit> {
    let inventory = read::inventory(&args.files)?;
    // What is said on standard output is for `ansible-inventory`'s readers alone.
    if args.output == Output::Human {
        read::tell_warnings(&inventory, &Look::detect(false, 0, false))?;
    }
    let hosts: Vec<&Host> = match &args.files.limit {
        Some(limit) => pattern::select(&inventory, limit, &Span::flag("--limit"))?,
        None => inventory.hosts.iter().collect(),
    };
    let text = match &args.host {
        Some(name) => {
            let host = inventory.host(name);
            let host = host.ok_or_else(|| {
                let exit = Exit::new(Kind::Usage, format!("`{}` has no host `{name}`", inventory.name));
                exit.hint("see `--list` or `--graph` for its hosts")
            })?;
            if args.yaml { show::host_yaml(host) } else { show::host(host) }
        }
        None if args.graph => show::graph(&inventory),
        None if args.yaml => show::list_yaml(&inventory, &hosts),
        None => show::list(&inventory, &hosts),
    };
    say(&text)?;
    Ok(Kind::Converged)
}
