//! `inventory`: show hosts, groups and variables in the format of `ansible-inventory`.

use super::exit::{Exit, Kind};
use super::options::{Files, Output};
use super::read;
use crate::report::{Look, say};
use apim_documents::inventory::{Host, pattern, show};
use apim_product::yaml::Span;

/// Options of `inventory`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
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
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    pub(super) output: Output,
}

pub(super) fn run(args: &Args) -> Result<Kind, Exit> {
    let inventory = read::inventory(&args.files)?;
    // Standard output must contain only the format of `ansible-inventory`.
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
                exit.hint("`--list` and `--graph` show its hosts")
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
