//! Rendered errors of invalid inventories and playbooks: one snapshot for each invalid file.
//!
//! Tests run in the package's folder, so paths in snapshots are the same on every machine.

use std::path::{Path, PathBuf};

use apim_documents::inventory::{self, Inventory, Options};
use apim_documents::playbook;
use apim_product::yaml::{Colours, Mistakes, Span};
use apim_product::{Cluster, FileError};

fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(Path::new("tests/fixtures").join(folder))
        .expect("fixtures")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no files in {folder}");
    files
}

fn name(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

fn cluster(inventory: &Inventory) -> Result<(), Mistakes> {
    let mut mistakes = Mistakes::default();
    let nothing = |path: &str, _: &Span| Err(FileError::missing(path));
    Cluster::build(&inventory.host_inputs(), &nothing, &mut mistakes);
    if mistakes.0.is_empty() { Ok(()) } else { Err(mistakes) }
}

#[test]
fn invalid_inventories() {
    for path in files("bad") {
        let result = inventory::load(&path, &Options::default()).and_then(|inventory| cluster(&inventory));
        let shown = result.expect_err(&name(&path)).render(Colours::Off);
        assert!(!shown.contains("hunter2"), "a secret is shown: {shown}");
        insta::with_settings!({snapshot_path => "snapshots/inventory", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name(&path), shown);
        });
    }
}

#[test]
fn invalid_playbooks() {
    for path in files("bad-playbooks") {
        let shown = playbook::load(&path.display().to_string()).expect_err(&name(&path)).render(Colours::Off);
        insta::with_settings!({snapshot_path => "snapshots/playbook", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name(&path), shown);
        });
    }
}

/// Errors that depend on the variables of a host and are found when the plan is built.
#[test]
fn invalid_tasks() {
    let folder = tempfile::tempdir().expect("folder");
    let hosts = folder.path().join("hosts.yaml");
    std::fs::write(&hosts, "all: {children: {gateway: {hosts: {gw1: }}}}\n").expect("write");
    let inventory = inventory::load(&hosts, &Options::default()).expect("reads");
    let host = inventory.host("gw1").expect("gw1");
    for path in files("bad-tasks") {
        let playbook =
            playbook::load(&path.display().to_string()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let mut mistakes = Mistakes::default();
        for play in &playbook.plays {
            for task in &play.tasks {
                match playbook::bind(play, task, host) {
                    Ok(bound) => panic!("{} must not bind: {bound:?}", task.span),
                    Err(found) => mistakes.0.extend(found.0),
                }
            }
        }
        let shown = mistakes.render(Colours::Off);
        insta::with_settings!({snapshot_path => "snapshots/task", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name(&path), shown);
        });
    }
}

#[test]
fn example_inventories_have_no_errors() {
    for path in ["all-in-one", "ha", "prod-sandbox", "single"] {
        let path = Path::new("../../inventory").join(format!("{path}.yaml"));
        let result = inventory::load(&path, &Options::default()).and_then(|inventory| cluster(&inventory));
        let secrets_are_missing = |mistakes: &Mistakes| {
            mistakes
                .0
                .iter()
                .all(|m| m.what.starts_with("environment variable") && m.what.ends_with("is not set"))
        };
        if let Err(mistakes) = result {
            assert!(secrets_are_missing(&mistakes), "{mistakes}");
        }
    }
}
