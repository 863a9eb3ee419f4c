//! Reads passwords and inventory and builds the cluster.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::app::exit::{self, Exit, Kind};
use crate::app::issue::{self, Issue};
use crate::app::options::Files;
use crate::app::secret_files;
use crate::report::{Look, remark, say};
use apim_documents::inventory::{self, Inventory, pattern};
use apim_documents::vault::{PasswordSources, Vault, gather};
use apim_product::pki::trust;
use apim_product::yaml::{Colours, Mistakes, Span};
use apim_product::{Cluster, FileError};
use apim_rollout::artifact::Cache;
use apim_rollout::local_tasks::hooks as local_hooks;
use apim_rollout::plan::hooks;

/// The valid input files.
pub(crate) struct Read {
    pub(crate) inventory: Inventory,
    pub(crate) cluster: Cluster,
    /// Local files with secrets that others can read.
    pub(crate) open: Vec<secret_files::Open>,
}

impl Read {
    /// Returns the number of warnings.
    pub(crate) fn warnings(&self) -> usize {
        self.inventory.warnings.in_order().len() + self.cluster.warnings().in_order().len()
    }
}

/// Reads the inventory and builds the cluster.
pub(crate) fn cluster(files: &Files) -> Result<Read, Exit> {
    cluster_with(files, &Cache::of_user(), Issue::ReportOnly)
}

/// Reads the inventory and builds the cluster; `issue` decides about due certificates.
pub(crate) fn cluster_with(files: &Files, cache: &Cache, issue: Issue) -> Result<Read, Exit> {
    let inventory = inventory(files)?;
    let mut read = cluster_of(inventory)?;
    issue::provide(&mut read.cluster, &files.inventory, cache, issue)?;
    Ok(read)
}

/// Reads the inventory and builds the cluster without checking its certificates.
pub(crate) fn unchecked(files: &Files) -> Result<Read, Exit> {
    Ok(unchecked_of(inventory(files)?)?)
}

/// Reads the inventory.
pub(crate) fn inventory(files: &Files) -> Result<Inventory, Exit> {
    Ok(inventory_with(files, &vault(files)?)?)
}

/// Returns the names of the hosts that `--limit` selects.
pub(crate) fn limited<'a>(inventory: &'a Inventory, files: &Files) -> Result<BTreeSet<&'a str>, Mistakes> {
    let hosts = match &files.limit {
        Some(limit) => pattern::select(inventory, limit, &Span::flag("--limit"))?,
        None => inventory.hosts.iter().collect(),
    };
    Ok(hosts.into_iter().map(|host| host.name.0.as_str()).collect())
}

/// Prints the warnings and notes of the inventory and the cluster.
pub(crate) fn report(read: &Read, look: &Look) -> std::io::Result<()> {
    report_warnings(&read.inventory, look)?;
    let warnings = read.cluster.warnings();
    print_warnings(warnings, look)?;
    for note in read.cluster.notes() {
        if look.json {
            say(&json!({"event": "note", "level": "info", "text": note}).to_string())?;
        } else {
            remark(&format!("{} {note}\n", look.err.change("note:")));
        }
    }
    Ok(())
}

/// Warns about hooks that cannot run on this machine.
pub(crate) fn report_hooks(cluster: &Cluster, look: &Look) -> std::io::Result<()> {
    let nodes = cluster.nodes().iter().filter_map(|node| cluster.hooks(&node.name));
    let mut found: Vec<String> = Vec::new();
    for hook in nodes.flat_map(|hooks| hooks.all()) {
        let text = local_hooks::check(hook).map(|why| format!("hook `{}` will fail: {why}", hook.words));
        found.extend(text.filter(|text| !found.contains(text)));
    }
    for text in found {
        if look.json {
            say(&json!({"event": "note", "level": "warning", "text": text}).to_string())?;
        } else {
            remark(&format!("{} {text}\n", look.err.bad("warning:")));
        }
    }
    Ok(())
}

/// Prints the warnings of an inventory.
pub(crate) fn report_warnings(inventory: &Inventory, look: &Look) -> std::io::Result<()> {
    print_warnings(&inventory.warnings, look)
}

fn print_warnings(warnings: &Mistakes, look: &Look) -> std::io::Result<()> {
    if warnings.0.is_empty() {
        return Ok(());
    }
    if look.json {
        return say(&exit::objects("warning", warnings));
    }
    let colours = if look.err.is_coloured() { Colours::On } else { Colours::Off };
    remark(&format!("{}\n", warnings.render_as_warnings(colours)));
    Ok(())
}

pub(crate) fn vault(files: &Files) -> Result<Arc<Vault>, Exit> {
    let sources = PasswordSources {
        files: files.vault_password_file.clone(),
        ids: files.vault_id.clone(),
        ask: files.ask_vault_pass,
    };
    let mut ask =
        |question: &str| rpassword::prompt_password(question).map(apim_protocol::value::Secret::new);
    let passwords = gather(&sources, &mut ask).map_err(|error| Exit::from_error(Kind::Usage, &error))?;
    Ok(Arc::new(Vault::new(passwords)))
}

pub(crate) fn inventory_with(files: &Files, vault: &Arc<Vault>) -> Result<Inventory, Mistakes> {
    let options = inventory::Options {
        extra_variables: files.extra_vars.clone(),
        vault: Arc::clone(vault),
        known_groups: &apim_product::role::GROUPS,
        limit: files.limit.clone(),
    };
    inventory::load(&files.inventory, &options)
}

/// Builds the cluster; unusable certificates are errors.
pub(crate) fn cluster_of(inventory: Inventory) -> Result<Read, Mistakes> {
    let mut read = unchecked_of(inventory)?;
    let found = trust::check(&read.cluster, issue::now());
    read.cluster.tell(found.notes);
    if found.mistakes.0.is_empty() { Ok(read) } else { Err(found.mistakes) }
}

pub(crate) fn unchecked_of(inventory: Inventory) -> Result<Read, Mistakes> {
    let mut mistakes = Mistakes::default();
    match Cluster::build(&inventory.host_inputs(), &read_file, &mut mistakes) {
        Some(mut cluster) if mistakes.0.is_empty() => {
            cluster.set_hooks(hooks::read(&inventory, &cluster, &read_file)?);
            let open = secret_files::open(&inventory);
            secret_files::refuse(&open, &cluster, &mut mistakes);
            if mistakes.0.is_empty() { Ok(Read { inventory, cluster, open }) } else { Err(mistakes) }
        }
        _ => Err(mistakes),
    }
}

/// Reads a file that the inventory refers to, relative to the folder of the referring file.
fn read_file(path: &str, place: &Span) -> Result<Vec<u8>, FileError> {
    let folder = place.file_name().and_then(|file| Path::new(file).parent()).map(Path::to_owned);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = match (path.strip_prefix("~/"), home, folder) {
        (Some(rest), Some(home), _) => home.join(rest),
        (_, _, Some(folder)) => folder.join(path),
        (_, _, None) => PathBuf::from(path),
    };
    std::fs::read(&path).map_err(|source| FileError { path, source })
}
