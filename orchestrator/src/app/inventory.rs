//! `inventory`: show hosts, groups and variables in the format of `ansible-inventory`.

use crate::app::exit::{Exit, Kind};
use crate::app::options::Files;
use crate::app::read;
use crate::report::{Look, say};
use apim_documents::inventory::{Host, pattern, show};
use apim_product::yaml::Span;

/// Options of `inventory`.
#[derive(Debug, Clone)]
pub(crate) struct InventoryRequest {
    pub(crate) files: Files,
    /// Show groups and hosts as a tree
    pub(crate) graph: bool,
    /// Show the variables of one host
    pub(crate) host: Option<String>,
    /// Print YAML instead of JSON
    pub(crate) yaml: bool,
    /// Format of warnings and errors
    pub(crate) json: bool,
}

pub(crate) fn run(args: &InventoryRequest) -> Result<Kind, Exit> {
    let inventory = read::inventory(&args.files)?;
    // Standard output must contain only the format of `ansible-inventory`.
    if !args.json {
        read::report_warnings(&inventory, &Look::detect(false, 0, false))?;
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
