//! Finds and reads the files of an inventory: the file or the files of a folder, `group_vars/` and
//! `host_vars/`.

use std::path::{Path, PathBuf};

use crate::vault::Vault;
use apim_product::yaml::{FILE_BYTES, Key, Kind, Mistakes, Node, ReadError, Span, parse, read_text};

/// Extensions of variable files, in Ansible's search order.
const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];
/// Extensions of files in an inventory folder that are not inventories. Source: ansible-core,
/// `config/base.yml`, INVENTORY_IGNORE_EXTS.
const IGNORED: [&str; 12] =
    [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];

/// Returns the inventory files at `path` in reading order, and the folder of `group_vars` and
/// `host_vars`.
pub(super) fn inventory_files(path: &Path, mistakes: &mut Mistakes) -> (Vec<PathBuf>, PathBuf) {
    if !path.is_dir() {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        return (vec![path.to_owned()], folder.unwrap_or(Path::new(".")).to_owned());
    }
    let mut files = Vec::new();
    collect(path, &mut files, mistakes);
    if files.is_empty() {
        mistakes.add(&Span::flag(&path.display().to_string()), "this folder contains no inventory file");
    }
    (files, path.to_owned())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>, mistakes: &mut Mistakes) {
    for path in entries(folder, mistakes) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_ignored = name.starts_with('.') || IGNORED.iter().any(|ending| name.ends_with(ending));
        if is_ignored || matches!(name.as_str(), "group_vars" | "host_vars" | "vars_plugins") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files, mistakes);
        } else if name.ends_with(".ini") {
            mistakes.add_hint(&Span::flag(&path.display().to_string()), INI, CONVERT);
        } else {
            files.push(path);
        }
    }
}

fn entries(folder: &Path, mistakes: &mut Mistakes) -> Vec<PathBuf> {
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            paths
        }
        Err(error) => {
            let at = Span::flag(&folder.display().to_string());
            mistakes.add(&at, format!("cannot read the folder: {error}"));
            Vec::new()
        }
    }
}

/// Reads a YAML file, which may be encrypted as a whole.
pub(super) fn read_yaml(path: &Path, vault: &Vault, mistakes: &mut Mistakes) -> Option<Node> {
    let text = file_text(path, vault, mistakes)?;
    parse(&path.display().to_string(), &text).map_err(|found| mistakes.0.extend(found.0)).ok()
}

/// Reads an inventory file. Reports the INI format as unsupported.
pub(super) fn read_inventory(path: &Path, vault: &Vault, mistakes: &mut Mistakes) -> Option<Node> {
    let text = file_text(path, vault, mistakes)?;
    let parsed = parse(&path.display().to_string(), &text);
    let is_map = parsed.as_ref().is_ok_and(|node| matches!(node.kind, Kind::Map(_) | Kind::Null));
    if !is_map && text.lines().any(is_ini) {
        mistakes.add_hint(&Span::flag(&path.display().to_string()), INI, CONVERT);
        return None;
    }
    parsed.map_err(|found| mistakes.0.extend(found.0)).ok()
}

const INI: &str = "INI inventories are not supported";
const CONVERT: &str = "convert it with `ansible-inventory -i FILE --list --yaml --export`";

/// `[group]`, `[group:vars]`, or `host ansible_user=…`.
fn is_ini(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or(line);
    if let Some(group) = line.strip_prefix('[').and_then(|rest| rest.trim_end().strip_suffix(']')) {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        return !group.is_empty() && group.chars().all(fits);
    }
    let mut words = line.split_whitespace();
    let is_host = words.next().is_some_and(|host| line.starts_with(host) && !host.starts_with(['#', '-']));
    is_host && words.any(|word| word.starts_with("ansible_") && word.contains('='))
}

fn file_text(path: &Path, vault: &Vault, mistakes: &mut Mistakes) -> Option<String> {
    let name = path.display().to_string();
    let text = match read_text(path, FILE_BYTES as u64) {
        Ok(text) => text,
        Err(ReadError::NoText { line, column }) => {
            let at = Span { line, column, length: 1, ..Span::flag(&name) };
            mistakes.add(&at, ReadError::NoText { line, column }.to_string());
            return None;
        }
        Err(error) => {
            let hint = "check the path and the file's permissions";
            mistakes.add_hint(&Span::flag(&name), format!("cannot read the file: {error}"), hint);
            return None;
        }
    };
    vault.file_text(&name, text).map_err(|mistake| mistakes.0.push(mistake)).ok()
}

/// Returns the files with the variables of `name` in `folder`: the first of `name/`, `name`,
/// `name.yml`, `name.yaml`, `name.json` that exists.
pub(super) fn variable_files_for(folder: &Path, name: &str, mistakes: &mut Mistakes) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for ending in ENDINGS {
        let path = folder.join(format!("{name}{ending}"));
        if path.is_dir() {
            variable_files(&path, &mut files, mistakes);
        } else if path.exists() {
            files.push(path);
        } else {
            continue;
        }
        break;
    }
    files
}

/// Reads the variables of these files. A later file overrides an earlier one.
pub(super) fn variables_in(files: &[PathBuf], vault: &Vault, mistakes: &mut Mistakes) -> Vec<(Key, Node)> {
    let mut variables = Vec::new();
    for file in files {
        let Some(node) = read_yaml(file, vault, mistakes) else { continue };
        match node.kind {
            Kind::Map(entries) => {
                for (key, value) in entries {
                    super::file::set(&mut variables, key, value);
                }
            }
            Kind::Null => {}
            _ => mistakes
                .add(&node.span, format!("a file of variables must be a map, not {}", node.describe())),
        }
    }
    variables
}

fn variable_files(folder: &Path, files: &mut Vec<PathBuf>, mistakes: &mut Mistakes) {
    for path in entries(folder, mistakes) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy()));
        if path.is_dir() {
            if ending.is_none() {
                variable_files(&path, files, mistakes);
            }
        } else if ending.is_none_or(|ending| ENDINGS.contains(&ending.as_str())) {
            files.push(path);
        }
    }
}
