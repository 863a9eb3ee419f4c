//! Saved plans: applied as saved, or refused as stale with the reasons; they contain no secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use apim_tests::cli::Run;
use apim_tests::poison::Poison;
use apim_tests::tree;
use serde_json::json;

use super::Small;
use crate::{JSON, assert_nothing_changed, changed};

/// Saves a plan and returns its file.
fn save_plan(small: &Small, flags: &[&str]) -> PathBuf {
    let path = small.operator.folder().join("site.plan");
    let inventory = small.inventory();
    let mut words = vec!["plan".as_ref(), inventory.as_os_str(), "--out".as_ref(), path.as_os_str()];
    words.extend(flags.iter().map(std::ffi::OsStr::new));
    let run = small.operator.run(words).ended_with(0);
    assert!(run.stderr.contains("apply it with: apim-deploy apply --plan"), "{}", run.text());
    path
}

fn apply_plan(small: &Small, plan: &Path, flags: &[&str]) -> Run {
    // Uses the existing file, so that edits of the test are kept.
    let inventory = small.rehearsal.lab.folder().join("inventory.yaml");
    let mut words = vec!["apply".as_ref(), inventory.as_os_str(), "--plan".as_ref(), plan.as_os_str()];
    words.extend(flags.iter().map(std::ffi::OsStr::new));
    small.operator.run(words)
}

#[test]
fn saved_plan_applies_once_and_contains_no_secret() {
    let mut small = Small::new();
    let mut poison = Poison::default();
    let (admin, database) = (poison.add_random("administrator"), poison.add_random("apim_db"));
    small.rehearsal.inventory.set("admin.password", json!(admin));
    small.rehearsal.inventory.set("databases.apim_db.password", json!(database));
    let before = small.tree();
    let plan = save_plan(&small, &[]);
    tree::assert_same(&before, &small.tree(), "after a plan");
    let about = fs::metadata(&plan).expect("the plan");
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    assert_eq!(poison.in_bytes(&fs::read(&plan).expect("the plan")), Vec::<String>::new());

    let first = apply_plan(&small, &plan, &JSON).ended_with(0);
    assert!(changed(&first) > 10, "{}", first.text());
    // The hosts have changed since the plan was saved.
    let second = apply_plan(&small, &plan, &[]).ended_with(4);
    assert!(second.stderr.contains("no host was changed"), "{}", second.text());
    assert!(second.stderr.contains("differed, now up to date"), "{}", second.text());

    // A plan without changes can be applied repeatedly.
    let empty = save_plan(&small, &[]);
    for _ in 0..2 {
        assert_nothing_changed(apply_plan(&small, &empty, &JSON));
    }
}

#[test]
fn host_drift_makes_plan_stale_and_changes_nothing() {
    let mut small = Small::new();
    small.apply().ended_with(0);
    small.rehearsal.inventory.set("config", json!({"server": {"enable_restart_from_api": true}}));
    let plan = save_plan(&small, &[]);
    let hosts = small.host().root.join("etc/hosts");
    let text = fs::read_to_string(&hosts).expect("the hosts file");
    fs::write(&hosts, text.replace("127.0.0.1", "127.0.0.9")).expect("a manual edit");
    let before = small.tree();
    let refused = apply_plan(&small, &plan, &[]).ended_with(4);
    assert!(refused.stderr.contains("am1: "), "{}", refused.text());
    assert!(refused.stderr.contains("hosts"), "{}", refused.text());
    assert!(
        !refused.stderr.contains("deployment.toml was"),
        "an unchanged file is listed\n{}",
        refused.text()
    );
    tree::assert_same(&before, &small.tree(), "after a stale plan was refused");
    fs::write(&hosts, text).expect("restored");
    assert!(changed(&apply_plan(&small, &plan, &JSON).ended_with(0)) > 0);
}

#[test]
fn local_changes_make_plan_stale_without_contacting_hosts() {
    let mut small = Small::new();
    let plan = save_plan(&small, &["--skip-tags", "start"]);
    let connections = || small.host().traffic().connections;
    let refused = |words: &str, run: Run| {
        let run = run.ended_with(4);
        assert!(run.stderr.contains(words), "{words} is not in\n{}", run.text());
        assert!(run.stderr.contains("no host was contacted"), "{}", run.text());
    };
    let contacted = connections();
    refused("--skip-tags: the plan was created with", apply_plan(&small, &plan, &["--skip-tags", "prune"]));
    refused("--allow-outage: the plan was created with `no`", apply_plan(&small, &plan, &["--allow-outage"]));
    refused("--no-drain: the plan was created with `no`", apply_plan(&small, &plan, &["--no-drain"]));
    refused(
        "--max-unavailable: the plan was created with `none`, now it is `2`",
        apply_plan(&small, &plan, &["--max-unavailable", "2"]),
    );
    refused(
        "--extra-vars: the plan was created without extra variables",
        apply_plan(&small, &plan, &["-e", "x=1"]),
    );
    let inventory = small.inventory();
    let text = fs::read_to_string(&inventory).expect("the inventory");
    fs::write(&inventory, format!("{text}# a comment\n")).expect("an edit");
    refused("inventory.yaml has changed", apply_plan(&small, &plan, &[]));
    fs::write(&inventory, &text).expect("restored");
    let variables = inventory.with_file_name("group_vars");
    fs::create_dir(&variables).expect("a folder");
    fs::write(variables.join("all.yml"), "unused: 1\n").expect("variables");
    refused("group_vars/all.yml is new", apply_plan(&small, &plan, &[]));
    fs::remove_dir_all(&variables).expect("restored");

    let damaged = small
        .operator
        .file("damaged.plan", &fs::read_to_string(&plan).expect("text").replacen("am1", "am2", 1));
    let run = apply_plan(&small, &damaged, &[]).ended_with(2);
    assert!(run.stderr.contains("was modified"), "{}", run.text());
    let run = apply_plan(&small, &plan, &["--state-dir", "elsewhere"]).ended_with(2);
    assert!(run.stderr.contains("plan key of this user"), "{}", run.text());
    assert_eq!(connections(), contacted, "a host was contacted");

    // Flags that are not given again come from the plan.
    let flags =
        ["--skip-tags", "start", "--max-unavailable", "all_in_one=25%", "--allow-outage", "--no-drain"];
    let plan = save_plan(&small, &flags);
    let other = apply_plan(&small, &plan, &["--max-unavailable", "3"]);
    refused("--max-unavailable: the plan was created with `all_in_one=25 %`, now it is `3`", other);
    let run = apply_plan(&small, &plan, &[]);
    assert!(run.code != 4, "{}", run.text());
    small.rehearsal.inventory.set("config", json!({"server": {"enable_restart_from_api": true}}));
    small.inventory();
    refused("inventory.yaml has changed", apply_plan(&small, &plan, &[]));
}
