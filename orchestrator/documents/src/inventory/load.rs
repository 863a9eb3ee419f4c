//! Loads an inventory: its files, `group_vars` and `host_vars`, and the variables of each host.
//! Collects all errors.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::connection;
use super::draft::Draft;
use super::extra::parse_extra;
use super::model::{Group, Host, Inventory, members};
use super::sources::{inventory_files, read_inventory, variable_files_for, variables_in};
use super::variables::{self, DEEP, Layers};
use super::{file, pattern};
use crate::template::Scope;
use crate::vault::Vault;
use apim_product::role;
use apim_product::yaml::{Key, Kind, Mistakes, Node, Span};

impl Default for Options {
    fn default() -> Self {
        Self { extra_variables: Vec::new(), vault: Arc::default(), known_groups: &role::GROUPS, limit: None }
    }
}

/// Settings for [`load`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Values of `-e`, unparsed.
    pub extra_variables: Vec<String>,
    /// Decrypts and reads secrets.
    pub vault: Arc<Vault>,
    /// Group names with a meaning even if no file contains them (roles). Similar names are reported
    /// as typos.
    pub known_groups: &'static [&'static str],
    /// `--limit`. Only checked here; applied when a play's hosts are selected.
    pub limit: Option<String>,
}

/// Reads the inventory at `path`, a file or a folder of files.
///
/// # Errors
/// All errors in its files and variables.
pub fn load(path: &Path, options: &Options) -> Result<Inventory, Mistakes> {
    let mut mistakes = Mistakes::default();
    let (files, folder) = inventory_files(path, &mut mistakes);
    let mut draft = Draft::new();
    for name in &files {
        if let Some(node) = read_inventory(name, &options.vault, &mut mistakes) {
            file::read(&node, &mut draft, &mut mistakes);
        }
    }
    draft.finish(&mut mistakes);
    suggest_group_typos(&draft, options.known_groups, &mut mistakes);

    let mut extra = Vec::new();
    for text in &options.extra_variables {
        for (key, value) in parse_extra(text, &options.vault, &mut mistakes) {
            file::set(&mut extra, key, value);
        }
    }
    let vars_files = VariableFiles::read(&folder, &draft, &options.vault, &mut mistakes);
    let place = Place::of(path, &folder);
    let (hosts, scopes) = variables_of_hosts(&draft, &vars_files, &extra, &place, options);
    let known_groups = options.known_groups;
    let given: HashMap<String, Node> =
        extra.iter().map(|(key, value)| (key.text.clone(), value.clone())).collect();
    let mut inventory = Inventory {
        name: path.display().to_string(),
        hosts: Vec::new(),
        groups: draft.groups,
        known_groups,
        files: files
            .into_iter()
            .chain(vars_files.files)
            .chain(given_files(&options.extra_variables))
            .collect(),
        warnings: Mistakes::default(),
        extra: Scope::new(given.clone(), Arc::clone(&options.vault) as Arc<_>),
    };
    // `apim` is already merged recursively.
    let given: Arc<HashMap<String, Node>> =
        Arc::new(given.into_iter().filter(|(key, _)| key != DEEP).collect());
    let others = Scope::others("hostvars", &scopes);
    for (raw, (name, scope)) in hosts.into_iter().zip(&scopes) {
        let scope = scope.with_magic(&others).with_top(Arc::clone(&given));
        let nothing = || Node { kind: Kind::Map(Vec::new()), span: raw.span.clone() };
        let (now, later) = raw.variables.get(DEEP).map_or_else(|| (nothing(), nothing()), variables::part);
        let apim = scope.render(&now).unwrap_or_else(|found| {
            mistakes.0.extend(found.0);
            nothing()
        });
        super::spelling::warn(&raw.variables, &mut inventory.warnings);
        let connection = connection::read(name, &raw.variables, &scope, &mut mistakes);
        inventory.hosts.push(Host {
            name: apim_transport::host::HostName(name.clone()),
            span: raw.span,
            groups: raw.groups,
            variables: raw.variables,
            apim,
            later,
            connection,
            scope,
        });
    }
    if let Some(limit) = &options.limit
        && let Err(found) = pattern::select(&inventory, limit, &Span::flag("--limit"))
    {
        mistakes.0.extend(found.0);
    }
    if mistakes.0.is_empty() { Ok(inventory) } else { Err(mistakes) }
}

/// Variables from `group_vars/` and `host_vars/`, by group and host.
struct VariableFiles {
    groups: HashMap<String, Vec<(Key, Node)>>,
    hosts: HashMap<String, Vec<(Key, Node)>>,
    /// All files that were read.
    files: Vec<PathBuf>,
}

impl VariableFiles {
    fn read(folder: &Path, draft: &Draft, vault: &Vault, mistakes: &mut Mistakes) -> Self {
        let mut files = Vec::new();
        let mut read = |kind: &str, names: Vec<&str>| {
            if !folder.join(kind).is_dir() {
                return HashMap::new();
            }
            let of = |name: &str| {
                let found = variable_files_for(&folder.join(kind), name, mistakes);
                let variables = variables_in(&found, vault, mistakes);
                files.extend(found);
                (name.to_owned(), variables)
            };
            names.into_iter().map(of).filter(|(_, variables)| !variables.is_empty()).collect()
        };
        let groups = read("group_vars", draft.groups.iter().map(|group| group.name.as_str()).collect());
        let hosts = read("host_vars", draft.hosts.iter().map(|host| host.name.0.as_str()).collect());
        Self { groups, hosts, files }
    }
}

/// Returns the files of `-e @FILE`.
fn given_files(extra: &[String]) -> impl Iterator<Item = PathBuf> {
    extra.iter().filter_map(|text| text.strip_prefix('@').map(PathBuf::from))
}

/// Absolute paths of the inventory, for `inventory_dir` and `inventory_file`.
struct Place {
    folder: String,
    file: String,
}

impl Place {
    fn of(file: &Path, folder: &Path) -> Self {
        // Without a working directory the path stays as the user wrote it.
        let absolute = |path: &Path| match std::path::absolute(path) {
            Ok(path) => path.display().to_string(),
            Err(_) => path.display().to_string(),
        };
        Self { folder: absolute(folder), file: absolute(file) }
    }
}

struct Raw {
    span: Span,
    groups: Vec<String>,
    variables: Node,
}

/// Merges variables in Ansible's order: `all` of the file, groups of the file, `group_vars/all`,
/// `group_vars/*`, the host in the file, `host_vars`, `-e`. Groups are ordered by depth, then
/// priority, then name.
fn variables_of_hosts(
    draft: &Draft,
    vars_files: &VariableFiles,
    extra: &[(Key, Node)],
    place: &Place,
    options: &Options,
) -> (Vec<Raw>, Vec<(String, Scope)>) {
    let nothing = Vec::new();
    let mut groups_of: HashMap<&str, Vec<&Group>> = HashMap::new();
    let mut sorted: Vec<&Group> = draft.groups.iter().filter(|group| group.name != "all").collect();
    sorted.sort_by_key(|group| (group.depth, group.priority, group.name.as_str()));
    for group in sorted {
        for host in members(&draft.groups, &group.name) {
            groups_of.entry(host).or_default().push(group);
        }
    }
    let shared = HashMap::from([("groups".to_owned(), group_lists(draft))]);
    let shared = Scope::new(shared, Arc::clone(&options.vault) as Arc<_>);
    let order: HashMap<&str, usize> =
        members(&draft.groups, "all").into_iter().enumerate().map(|(at, name)| (name, at)).collect();
    let mut hosts: Vec<_> = draft.hosts.iter().collect();
    hosts.sort_by_key(|host| order.get(host.name.0.as_str()).copied().unwrap_or(usize::MAX));
    let mut raws = Vec::new();
    let mut scopes = Vec::new();
    for host in hosts {
        let name = host.name.0.as_str();
        let groups = groups_of.get(name).map_or(&[][..], Vec::as_slice);
        let mut layers = Layers::default();
        layers.put(draft.group_variables.get("all").unwrap_or(&nothing));
        for group in groups {
            layers.put(draft.group_variables.get(&group.name).unwrap_or(&nothing));
        }
        layers.put(vars_files.groups.get("all").unwrap_or(&nothing));
        for group in groups {
            layers.put(vars_files.groups.get(&group.name).unwrap_or(&nothing));
        }
        layers.put(&host.variables);
        layers.put(vars_files.hosts.get(name).unwrap_or(&nothing));
        layers.put(extra);
        let entries = layers.into_entries();
        let mut visible: HashMap<String, Node> = magic(name, groups, place);
        visible.extend(entries.iter().map(|(key, value)| (key.text.clone(), value.clone())));
        scopes.push((name.to_owned(), shared.with(visible)));
        let all = std::iter::once("all".to_owned());
        raws.push(Raw {
            span: host.span.clone(),
            groups: all.chain(groups.iter().map(|group| group.name.clone())).collect(),
            variables: Node { kind: Kind::Map(entries), span: host.span.clone() },
        });
    }
    (raws, scopes)
}

fn text(text: &str) -> Node {
    Node { kind: Kind::Text { text: text.to_owned(), templated: false }, span: Span::nowhere() }
}

/// Ansible's magic variables, which every host has.
fn magic(name: &str, groups: &[&Group], place: &Place) -> HashMap<String, Node> {
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    let short = if is_address { name } else { name.split('.').next().unwrap_or(name) };
    let mut names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    names.sort_unstable();
    let names = Kind::List(names.into_iter().map(text).collect());
    HashMap::from([
        ("inventory_hostname".to_owned(), text(name)),
        ("inventory_hostname_short".to_owned(), text(short)),
        ("group_names".to_owned(), Node { kind: names, span: Span::nowhere() }),
        ("inventory_dir".to_owned(), text(&place.folder)),
        ("inventory_file".to_owned(), text(&place.file)),
    ])
}

fn group_lists(draft: &Draft) -> Node {
    let entry = |group: &Group| {
        let hosts = members(&draft.groups, &group.name).into_iter().map(text).collect();
        let key = Key { text: group.name.clone(), span: Span::nowhere() };
        (key, Node { kind: Kind::List(hosts), span: Span::nowhere() })
    };
    Node { kind: Kind::Map(draft.groups.iter().map(entry).collect()), span: Span::nowhere() }
}

/// Reports groups that are probably misspelled roles: a non-empty group whose role has no group, or
/// a group that is listed as a child but never defined.
fn suggest_group_typos(draft: &Draft, known: &[&str], mistakes: &mut Mistakes) {
    // The hosts of a misspelled role group would silently not be part of the cluster.
    let roles = known.iter().filter(|role| !matches!(**role, "database" | "load_balancer"));
    let missing: Vec<&&str> = roles.filter(|role| !draft.has_group(role)).collect();
    for group in
        draft.groups.iter().filter(|group| !group.hosts.is_empty() && !known.contains(&group.name.as_str()))
    {
        if let Some(near) = missing.iter().find(|role| is_typo(&group.name, role)) {
            let what = format!("unknown role `{}`, and the group `{near}` is missing", group.name);
            mistakes.add_hint(&group.span, what, format!("did you mean `{near}`?"));
        }
    }
    for name in &draft.only_named {
        let Some(group) = draft.find_group(name) else { continue };
        let is_empty =
            group.hosts.is_empty() && group.children.is_empty() && !draft.group_variables.contains_key(name);
        if !is_empty || known.contains(&name.as_str()) {
            continue;
        }
        if let Some(near) = known.iter().find(|known| is_typo(name, known)) {
            let what = format!("undefined group `{name}`");
            mistakes.add_hint(&group.span, what, format!("did you mean `{near}`?"));
        }
    }
}

/// Stricter than `nearest`: `gateway_eu` is not a typo of `gateway`.
fn is_typo(name: &str, known: &str) -> bool {
    let (name, known) = (name.replace('-', "_").to_ascii_lowercase(), known.to_ascii_lowercase());
    let plural = name.strip_suffix('s') == Some(known.as_str());
    plural || strsim::damerau_levenshtein(&name, &known) <= 2
}
