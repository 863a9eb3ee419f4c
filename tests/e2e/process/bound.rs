//! A plan that is kept: carried out exactly, or refused with what has moved since; without a secret in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use apim_tests::cli::Run;
use apim_tests::poison::Poison;
use apim_tests::tree;
use serde_json::json;

use super::Small;
use crate::changed;

/// Makes a plan and returns its file.
fn planned(small: &Small, flags: &[&str]) -> PathBuf {
    let path = small.operator.folder().join("site.plan");
    let inventory = small.inventory();
    let mut words = vec!["plan".as_ref(), inventory.as_os_str(), "--out".as_ref(), path.as_os_str()];
    words.extend(flags.iter().map(std::ffi::OsStr::new));
    let run = small.operator.run(words).ended_with(0);
    assert!(run.stderr.contains("carry it out with: apim-deploy apply --plan"), "{}", run.text());
    path
}

fn carried_out(small: &Small, plan: &Path, flags: &[&str]) -> Run {
    // The file as it lies there: an inventory that is written anew is no less the same.
    let inventory = small.rehearsal.lab.folder().join("inventory.yaml");
    let mut words = vec!["apply".as_ref(), inventory.as_os_str(), "--plan".as_ref(), plan.as_os_str()];
    words.extend(flags.iter().map(std::ffi::OsStr::new));
    small.operator.run(words)
}

#[test]
fn a_plan_is_carried_out_once_and_holds_no_secret() {
    let mut small = Small::new();
    let mut poison = Poison::default();
    let (admin, database) = (poison.brew("administrator"), poison.brew("apim_db"));
    small.rehearsal.inventory.set("admin.password", json!(admin));
    small.rehearsal.inventory.set("databases.apim_db.password", json!(database));
    let before = small.tree();
    let plan = planned(&small, &[]);
    tree::assert_same(&before, &small.tree(), "after a plan");
    let about = fs::metadata(&plan).expect("the plan");
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    assert_eq!(poison.in_bytes(&fs::read(&plan).expect("the plan")), Vec::<String>::new());

    let first = carried_out(&small, &plan, &[]).ended_with(0);
    assert!(changed(&first) > 10, "{}", first.text());
    // What it found is not so any more.
    let second = carried_out(&small, &plan, &[]).ended_with(4);
    assert!(second.stderr.contains("nothing was changed"), "{}", second.text());
    assert!(second.stderr.contains("differed, and is as wished now"), "{}", second.text());

    // A plan with nothing to do is carried out as often as anybody likes.
    let empty = planned(&small, &[]);
    for _ in 0..2 {
        assert_eq!(changed(&carried_out(&small, &empty, &[]).ended_with(0)), 0);
    }
}

#[test]
fn what_moved_on_the_host_since_is_named_and_nothing_is_changed() {
    let mut small = Small::new();
    small.apply().ended_with(0);
    small.rehearsal.inventory.set("config", json!({"server": {"enable_restart_from_api": true}}));
    let plan = planned(&small, &[]);
    let hosts = small.host().root.join("etc/hosts");
    let text = fs::read_to_string(&hosts).expect("the hosts file");
    fs::write(&hosts, text.replace("127.0.0.1", "127.0.0.9")).expect("an edit by hand");
    let before = small.tree();
    let refused = carried_out(&small, &plan, &[]).ended_with(4);
    assert!(refused.stderr.contains("am1: "), "{}", refused.text());
    assert!(refused.stderr.contains("hosts"), "{}", refused.text());
    assert!(!refused.stderr.contains("deployment.toml was"), "only what moved is named\n{}", refused.text());
    tree::assert_same(&before, &small.tree(), "after a plan that was refused");
    fs::write(&hosts, text).expect("as it was");
    assert!(changed(&carried_out(&small, &plan, &[]).ended_with(0)) > 0);
}

#[test]
fn what_moved_here_since_is_named_before_anything_is_contacted() {
    let mut small = Small::new();
    let plan = planned(&small, &["--skip-tags", "start"]);
    let connections = || small.host().traffic().connections;
    let refused = |words: &str, run: Run| {
        let run = run.ended_with(4);
        assert!(run.stderr.contains(words), "{words} is not in\n{}", run.text());
        assert!(run.stderr.contains("nothing was contacted"), "{}", run.text());
    };
    let contacted = connections();
    refused("--skip-tags: the plan was made with", carried_out(&small, &plan, &["--skip-tags", "prune"]));
    refused("--allow-outage: the plan was made with `no`", carried_out(&small, &plan, &["--allow-outage"]));
    refused("--no-drain: the plan was made with `no`", carried_out(&small, &plan, &["--no-drain"]));
    refused(
        "--max-unavailable: the plan was made with `none`, and now it is `2`",
        carried_out(&small, &plan, &["--max-unavailable", "2"]),
    );
    refused("--extra-vars: the plan was made without any", carried_out(&small, &plan, &["-e", "x=1"]));
    let inventory = small.inventory();
    let text = fs::read_to_string(&inventory).expect("the inventory");
    fs::write(&inventory, format!("{text}# a word\n")).expect("an edit");
    refused("inventory.yaml has changed", carried_out(&small, &plan, &[]));
    fs::write(&inventory, &text).expect("as it was");
    let beside = inventory.with_file_name("group_vars");
    fs::create_dir(&beside).expect("a folder");
    fs::write(beside.join("all.yml"), "unused: 1\n").expect("variables");
    refused("group_vars/all.yml is new", carried_out(&small, &plan, &[]));
    fs::remove_dir_all(&beside).expect("as it was");

    let spoilt = small
        .operator
        .file("spoilt.plan", &fs::read_to_string(&plan).expect("text").replacen("am1", "am2", 1));
    let run = carried_out(&small, &spoilt, &[]).ended_with(2);
    assert!(run.stderr.contains("is not as it was written"), "{}", run.text());
    let run = carried_out(&small, &plan, &["--state-dir", "elsewhere"]).ended_with(2);
    assert!(run.stderr.contains("plan key of this user"), "{}", run.text());
    assert_eq!(connections(), contacted, "a host was contacted");

    // Flags that are left out are in the plan.
    let flags =
        ["--skip-tags", "start", "--max-unavailable", "all_in_one=25%", "--allow-outage", "--no-drain"];
    let plan = planned(&small, &flags);
    let other = carried_out(&small, &plan, &["--max-unavailable", "3"]);
    refused("--max-unavailable: the plan was made with `all_in_one=25 %`, and now it is `3`", other);
    let run = carried_out(&small, &plan, &[]);
    assert!(run.code != 4, "{}", run.text());
    small.rehearsal.inventory.set("config", json!({"server": {"enable_restart_from_api": true}}));
    small.inventory();
    refused("inventory.yaml has changed", carried_out(&small, &plan, &[]));
}
