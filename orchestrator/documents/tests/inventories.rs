//! Inventories are parsed like in Ansible: the `--list` and `--graph` output of ansible-core 2.19
//! for every fixture must be equal to the output of apim-deploy. If `ansible-inventory` is
//! installed, its output is compared too.
#![expect(clippy::print_stderr, reason = "reports a skipped test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use apim_documents::inventory::{self, Inventory, Options, show};
use apim_product::yaml::Colours;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/inventories")
}

/// Name and path of each inventory.
fn inventories() -> Vec<(String, PathBuf)> {
    let folder = fixtures();
    let mut found: Vec<(String, PathBuf)> = std::fs::read_dir(&folder)
        .expect("fixtures")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| (path.file_stem().expect("name").to_string_lossy().into_owned(), path))
        .collect();
    found.push(("beside-hosts".to_owned(), folder.join("beside/hosts.yaml")));
    found.push(("folder".to_owned(), folder.join("folder")));
    found.sort();
    assert!(found.len() >= 12, "missing fixtures");
    found
}

fn load(path: &Path) -> Inventory {
    let options = Options::default();
    inventory::load(path, &options).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(Colours::Off)))
}

fn list(path: &Path) -> serde_json::Value {
    let inventory = load(path);
    let all: Vec<_> = inventory.hosts.iter().collect();
    serde_json::from_str(&show::list(&inventory, &all)).expect("JSON")
}

/// Ansible does not merge `apim` recursively by default, so no fixture sets it at two levels.
#[test]
fn list_and_graph_equal_ansible_output() {
    for (name, path) in inventories() {
        let expected = std::fs::read_to_string(fixtures().join(format!("{name}.list.json"))).expect("list");
        let expected: serde_json::Value = serde_json::from_str(&expected).expect("JSON");
        similar_asserts(&name, &expected, &list(&path));
        let graph = std::fs::read_to_string(fixtures().join(format!("{name}.graph.txt"))).expect("graph");
        assert_eq!(show::graph(&load(&path)), graph.trim_end(), "{name}");
    }
}

#[test]
fn list_equals_installed_ansible() {
    if Command::new("ansible-inventory").arg("--version").output().is_err() {
        eprintln!("skipped: ansible-inventory is not installed");
        return;
    }
    let elsewhere = tempfile::tempdir().expect("folder");
    for (name, path) in inventories() {
        let output = Command::new("ansible-inventory")
            .args(["--list", "-i"])
            .arg(&path)
            .current_dir(elsewhere.path())
            .output()
            .expect("ansible-inventory runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let expected: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        similar_asserts(&name, &expected, &list(&path));
    }
}

#[test]
fn list_yaml_round_trips() {
    let folder = tempfile::tempdir().expect("folder");
    for (name, path) in inventories() {
        let inventory = load(&path);
        let all: Vec<_> = inventory.hosts.iter().collect();
        let file = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&file, show::list_yaml(&inventory, &all)).expect("write");
        let again = list(&file);
        let first = list(&path);
        assert_eq!(first["_meta"]["hostvars"], again["_meta"]["hostvars"], "{name}");
    }
}

fn similar_asserts(name: &str, expected: &serde_json::Value, actual: &serde_json::Value) {
    let text = |value| serde_json::to_string_pretty(value).expect("JSON");
    if expected != actual {
        let diff = similar::TextDiff::from_lines(text(expected), text(actual)).unified_diff().to_string();
        panic!("{name}: ansible-inventory (-) and apim-deploy (+) differ:\n{diff}");
    }
}
