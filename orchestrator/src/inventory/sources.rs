//! Which files an inventory is made of: the file or the files of a folder, `group_vars/` and `host_vars/` beside it.

use std::path::{Path, PathBuf};

use crate::vault::Vault;
use crate::yaml::{Key, Kind, Mistakes, Node, Span, parse};

/// Endings of variable files, in the order in which Ansible looks for them.
const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];
/// Endings of files in an inventory folder that are no inventories. Source: ansible-core, `config/base.yml`, INVENTORY_IGNORE_EXTS.
const IGNORED: [&str; 12] =
    [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];

/// Returns the inventory files at `path` in the order in which they are read, and the folder whose `group_vars` count.
pub(super) fn inventory_files(path: &Path, mistakes: &mut Mistakes) -> (Vec<PathBuf>, PathBuf) {
    if !path.is_dir() {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        return (vec![path.to_owned()], folder.unwrap_or(Path::new(".")).to_owned());
    }
    let mut files = Vec::new();
    collect(path, &mut files, mistakes);
    if files.is_empty() {
        mistakes.add(&Span::flag(&path.display().to_string()), "this folder holds no inventory file");
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
            let hint = "turn it into YAML: `ansible-inventory -i FILE --list --yaml --export`";
            let at = Span::flag(&path.display().to_string());
            mistakes.add_hint(&at, "an inventory in INI form is not read here", hint);
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

/// Reads a YAML file, which may be a vault as a whole.
pub(super) fn read_yaml(path: &Path, vault: &Vault, mistakes: &mut Mistakes) -> Option<Node> {
    let name = path.display().to_string();
    let text = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => {
            mistakes.add(&Span::flag(&name), "the file is no UTF-8 text");
            return None;
        }
        Err(error) => {
            let hint = "is the path right, and may you read it?";
            mistakes.add_hint(&Span::flag(&name), format!("cannot read the file: {error}"), hint);
            return None;
        }
    };
    let parsed = match vault.file_text(&name, text) {
        Ok(text) => parse(&name, &text),
        Err(mistake) => Err(Mistakes(vec![mistake])),
    };
    match parsed {
        Ok(node) => Some(node),
        Err(found) => {
            mistakes.0.extend(found.0);
            None
        }
    }
}

/// Reads the variables of `name` from `folder/kind`: the first of `name/`, `name`, `name.yml`, `name.yaml`, `name.json` that is there.
pub(super) fn variables_beside(
    folder: &Path,
    kind: &str,
    name: &str,
    vault: &Vault,
    mistakes: &mut Mistakes,
) -> Vec<(Key, Node)> {
    let base = folder.join(kind);
    let mut files = Vec::new();
    for ending in ENDINGS {
        let path = base.join(format!("{name}{ending}"));
        if path.is_dir() {
            variable_files(&path, &mut files, mistakes);
        } else if path.exists() {
            files.push(path);
        } else {
            continue;
        }
        break;
    }
    let mut variables = Vec::new();
    for file in files {
        let Some(node) = read_yaml(&file, vault, mistakes) else { continue };
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
