//! Reads passwords, inventory and playbook and builds the cluster. The errors of all files are
//! reported together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::exit::{self, Exit, Kind};
use super::guard;
use super::issuing::{self, Issue};
use super::options::{Files, Plays};
use super::pipeline::Material;
use crate::report::{Look, remark, say};
use apim_documents::inventory::{self, Inventory, pattern};
use apim_documents::playbook::tags::Wanted;
use apim_documents::playbook::{self, Playbook, built_in};
use apim_documents::vault::{PasswordSources, Vault, gather};
use apim_product::pki::trust;
use apim_product::yaml::{Colours, Mistakes, Span};
use apim_product::{Cluster, Draft, StartOrder};
use apim_rollout::artifact::Cache;
use apim_rollout::hooks::look as look_at;
use apim_rollout::plan::{Drafted, Wish, draft, hooks};
use apim_transport::host::HostName;

/// Groups with a meaning to apim-deploy; an inventory may omit them.
const ROLE_GROUPS: &[&str] = &[
    "control_plane",
    "key_manager",
    "gateway",
    "traffic_manager",
    "all_in_one",
    "load_balancer",
    "database",
];

/// The valid input files.
pub(super) struct Read {
    pub(super) inventory: Inventory,
    pub(super) cluster: Cluster,
    /// Local files with secrets that others can read.
    pub(super) open: Vec<guard::Open>,
}

impl Read {
    /// Returns the number of warnings.
    pub(super) fn warnings(&self) -> usize {
        self.inventory.warnings.in_order().len() + self.cluster.warnings().in_order().len()
    }
}

/// Reads the inventory and builds the cluster.
pub(super) fn cluster(files: &Files) -> Result<Read, Exit> {
    cluster_with(files, &Cache::of_user(), Issue::Tell)
}

/// Reads the inventory and builds the cluster; `issue` decides about due certificates.
pub(super) fn cluster_with(files: &Files, cache: &Cache, issue: Issue) -> Result<Read, Exit> {
    let inventory = inventory(files)?;
    let mut read = cluster_of(inventory)?;
    issuing::provide(&mut read.cluster, &files.inventory, cache, issue)?;
    Ok(read)
}

/// Reads the inventory and builds the cluster without checking its certificates.
pub(super) fn unchecked(files: &Files) -> Result<Read, Exit> {
    Ok(unchecked_of(inventory(files)?)?)
}

/// Reads the inventory.
pub(super) fn inventory(files: &Files) -> Result<Inventory, Exit> {
    Ok(inventory_with(files, &vault(files)?)?)
}

/// Returns the names of the hosts that `--limit` selects.
pub(super) fn limited<'a>(inventory: &'a Inventory, files: &Files) -> Result<BTreeSet<&'a str>, Mistakes> {
    let hosts = match &files.limit {
        Some(limit) => pattern::select(inventory, limit, &Span::flag("--limit"))?,
        None => inventory.hosts.iter().collect(),
    };
    Ok(hosts.into_iter().map(|host| host.name.0.as_str()).collect())
}

/// Reads inventory and playbook and drafts the plan.
pub(super) fn all(files: &Files, plays: &Plays) -> Result<(Read, Playbook, Drafted), Exit> {
    all_with(files, plays, &Cache::of_user(), Issue::Tell)
}

/// Reads inventory and playbook and drafts the plan; `issue` decides about due certificates.
pub(super) fn all_with(
    files: &Files,
    plays: &Plays,
    cache: &Cache,
    issue: Issue,
) -> Result<(Read, Playbook, Drafted), Exit> {
    let vault = vault(files)?;
    // Parse the playbook even if the inventory has errors, to report all of them at once.
    let chosen = plays.playbook.as_deref().map(playbook::load).transpose();
    let read = inventory_with(files, &vault).and_then(cluster_of);
    let (mut read, chosen) = match (read, chosen) {
        (Ok(read), Ok(chosen)) => (read, chosen),
        (Err(mut mistakes), Err(more)) => {
            mistakes.0.extend(more.0);
            return Err(mistakes.into());
        }
        (Err(mistakes), Ok(_)) | (Ok(_), Err(mistakes)) => return Err(mistakes.into()),
    };
    issuing::provide(&mut read.cluster, &files.inventory, cache, issue)?;
    let playbook = match chosen {
        Some(playbook) => playbook,
        None => site(read.cluster.start_order())?,
    };
    let tags = Wanted { only: plays.tags.clone(), skip: plays.skip_tags.clone() };
    let wish = Wish {
        inventory: &read.inventory,
        playbook: &playbook,
        cluster: &read.cluster,
        limit: files.limit.as_deref(),
        tags: &tags,
    };
    let drafted = draft(&wish)?;
    Ok((read, playbook, drafted))
}

/// An inventory from which one host is removed.
pub(super) struct Removal {
    inventory: Inventory,
    /// The current cluster, with the host.
    pub(super) cluster: Cluster,
    host: HostName,
}

impl Removal {
    /// Reads the inventory.
    pub(super) fn read(files: &Files, host: &HostName) -> Result<Self, Exit> {
        let inventory = inventory(files)?;
        let cluster = unchecked_of(inventory.clone())?.cluster;
        Ok(Self { inventory, cluster, host: host.clone() })
    }

    /// Returns the input with the host.
    pub(super) fn whole(&self) -> Read {
        let (inventory, cluster) = (self.inventory.clone(), self.cluster.clone());
        Read { open: guard::open(&inventory), inventory, cluster }
    }

    /// Drafts the cluster without the host, followed by the uninstall steps in `leaving`.
    pub(super) fn draft(
        self,
        plays: &Plays,
        (files, cache, issue): (&Files, &Cache, Issue),
        leaving: Vec<Draft>,
    ) -> Result<Material, Exit> {
        let Self { inventory, cluster, host } = self;
        let playbook = site(cluster.start_order())?;
        let (read, mut drafted) = if cluster.nodes().iter().all(|node| node.host == host.0) {
            let open = guard::open(&inventory);
            (Read { inventory, cluster: cluster.clone(), open }, Drafted::default())
        } else {
            let mut rest = inventory.clone();
            rest.hosts.retain(|known| known.name != host);
            let mut read = cluster_of(rest)?;
            issuing::provide(&mut read.cluster, &files.inventory, cache, issue)?;
            // The host is still connected to.
            read.inventory = inventory;
            let tags = Wanted { only: Vec::new(), skip: plays.skip_tags.clone() };
            let limit = format!("all:!{host}");
            let wish = Wish {
                inventory: &read.inventory,
                playbook: &playbook,
                cluster: &read.cluster,
                limit: Some(&limit),
                tags: &tags,
            };
            let drafted = draft(&wish)?;
            (read, drafted)
        };
        drafted.add_stage(format!("remove {host}"), &host, leaving);
        Ok(Material { read, playbook, drafted, counted: Some(cluster) })
    }
}

/// Prints the warnings and notes of the inventory and the cluster.
pub(super) fn tell(read: &Read, look: &Look) -> std::io::Result<()> {
    tell_warnings(&read.inventory, look)?;
    let warnings = read.cluster.warnings();
    say_warnings(warnings, look)?;
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
pub(super) fn tell_hooks(cluster: &Cluster, look: &Look) -> std::io::Result<()> {
    let nodes = cluster.nodes().iter().filter_map(|node| cluster.hooks(&node.name));
    let mut found: Vec<String> = Vec::new();
    for hook in nodes.flat_map(|hooks| hooks.all()) {
        let text = look_at(hook).map(|why| format!("hook `{}` will fail: {why}", hook.words));
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
pub(super) fn tell_warnings(inventory: &Inventory, look: &Look) -> std::io::Result<()> {
    say_warnings(&inventory.warnings, look)
}

fn say_warnings(warnings: &Mistakes, look: &Look) -> std::io::Result<()> {
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

fn vault(files: &Files) -> Result<Arc<Vault>, Exit> {
    let sources = PasswordSources {
        files: files.vault_password_file.clone(),
        ids: files.vault_id.clone(),
        ask: files.ask_vault_pass,
    };
    let mut ask = |question: &str| rpassword::prompt_password(question).map(apim_agent::value::Secret::new);
    let passwords = gather(&sources, &mut ask).map_err(|error| Exit::from_error(Kind::Usage, &error))?;
    Ok(Arc::new(Vault::new(passwords)))
}

fn inventory_with(files: &Files, vault: &Arc<Vault>) -> Result<Inventory, Mistakes> {
    let options = inventory::Options {
        extra_variables: files.extra_vars.clone(),
        vault: Arc::clone(vault),
        known_groups: ROLE_GROUPS,
        limit: files.limit.clone(),
    };
    inventory::load(&files.inventory, &options)
}

/// Builds the cluster; unusable certificates are errors.
fn cluster_of(inventory: Inventory) -> Result<Read, Mistakes> {
    let mut read = unchecked_of(inventory)?;
    let found = trust::check(&read.cluster, issuing::now());
    read.cluster.tell(found.notes);
    if found.mistakes.0.is_empty() { Ok(read) } else { Err(found.mistakes) }
}

fn unchecked_of(inventory: Inventory) -> Result<Read, Mistakes> {
    let mut mistakes = Mistakes::default();
    match Cluster::build(&inventory.host_inputs(), &read_file, &mut mistakes) {
        Some(mut cluster) if mistakes.0.is_empty() => {
            cluster.set_hooks(hooks::read(&inventory, &cluster, &read_file)?);
            let open = guard::open(&inventory);
            guard::refuse(&open, &cluster, &mut mistakes);
            if mistakes.0.is_empty() { Ok(Read { inventory, cluster, open }) } else { Err(mistakes) }
        }
        _ => Err(mistakes),
    }
}

/// Reads a file that the inventory refers to, relative to the folder of the referring file.
fn read_file(path: &str, place: &Span) -> Result<Vec<u8>, String> {
    let folder = place.file_name().and_then(|file| Path::new(file).parent()).map(Path::to_owned);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = match (path.strip_prefix("~/"), home, folder) {
        (Some(rest), Some(home), _) => home.join(rest),
        (_, _, Some(folder)) => folder.join(path),
        (_, _, None) => PathBuf::from(path),
    };
    std::fs::read(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

fn site(order: StartOrder) -> Result<Playbook, Exit> {
    let name = match order {
        StartOrder::Documented => "site.yaml",
        StartOrder::DependenciesFirst => "site-dependencies-first.yaml",
    };
    let text = built_in(name).unwrap_or_default();
    let mut playbook = playbook::parse(&format!("built-in {name}"), text)?;
    name.clone_into(&mut playbook.name);
    Ok(playbook)
}
