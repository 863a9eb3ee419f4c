//! Upgrades: the new release is installed next to the running one and takes over the files of the node;
//! manual and automatic rollback; recovery after interruption.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use apim_tests::poll::until;
use apim_tests::tree;
use rustix::process::Signal;
use serde_json::json;

use super::Small;
use super::interrupted::agents;
use crate::{JSON, assert_nothing_changed, changed_steps};

/// Files that the node creates and an upgrade keeps.
const KEPT: [&str; 2] = ["repository/database/WSO2CARBON_DB.mv.db", "solr/data/index/segment"];
/// A file that is part of the distribution.
const SHIPPED: &str = "repository/database/WSO2SHARED_DB.mv.db";

/// A node on 4.5.0 that has created files, and an inventory with 4.6.0.
struct Used {
    small: Small,
    old: PathBuf,
}

impl Used {
    fn new() -> Self {
        let mut small = Small::new();
        small.rehearsal.inventory.set("health.started_secs", json!(20));
        let mut used = Self { old: PathBuf::new(), small };
        used.begin();
        used
    }

    /// Installs 4.5.0 on a new machine, where the node creates files.
    fn begin(&mut self) {
        self.small.rehearsal.inventory.release("4.5.0");
        self.small.apply().ended_with(0);
        self.old = self.current();
        for kept in KEPT {
            let path = self.old.join(kept);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, "data").expect("a file of the node");
        }
        fs::write(self.old.join(SHIPPED), "must not be copied").expect("written");
        self.small.rehearsal.inventory.release("4.6.0");
    }

    /// The home folder of the release in use, as a path of this machine.
    fn current(&self) -> PathBuf {
        let root = &self.small.host().root;
        let link = fs::read_link(root.join("opt/wso2/all-in-one/current")).expect("the link");
        root.join(link.strip_prefix("/").expect("an absolute path"))
    }

    fn name(&self) -> String {
        self.current().file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// The start time of the running server.
    fn server(&self) -> String {
        let home = format!("-Dcarbon.home={}", self.current().display());
        let is_it = |arguments: &str| arguments.contains("bootstrap.Bootstrap") && arguments.contains(&home);
        let found = apim_tests::process::processes(is_it);
        assert_eq!(found.len(), 1, "one server runs from {home}");
        let stat = format!("/proc/{}/stat", found[0].as_raw_nonzero());
        let stat = fs::read_to_string(stat).expect("it is running");
        stat.split_whitespace().nth(21).expect("its start time").to_owned()
    }

    fn run(&self, verb: &[&str]) -> apim_tests::cli::Run {
        let inventory = self.small.inventory().display().to_string();
        let mut arguments = vec![verb[0].to_owned(), inventory];
        arguments.extend(verb[1..].iter().map(|word| (*word).to_owned()));
        self.small.operator.run(arguments)
    }

    /// Runs a verb on a terminal where `line` is typed.
    fn answer(&self, verb: &str, line: &str) -> apim_tests::cli::Run {
        let inventory = self.small.inventory().display().to_string();
        self.small.operator.answer([verb, &inventory], line)
    }

    /// The files of the old release.
    fn old_tree(&self) -> String {
        let root = self.small.host().root.clone();
        let below = self.old.strip_prefix(&root).expect("below the root").display().to_string();
        tree::describe(&root, &[&below], &|path| super::super::varies(path))
    }

    fn assert_files_kept(&self) {
        let new = self.current();
        for kept in KEPT {
            for home in [&self.old, &new] {
                assert_eq!(fs::read_to_string(home.join(kept)).expect(kept), "data", "{}", home.display());
            }
        }
        let shipped = fs::read_to_string(new.join(SHIPPED)).expect("the shipped file");
        assert_ne!(shipped, "must not be copied");
    }

    /// Applies and asserts that nothing changed.
    #[track_caller]
    fn assert_up_to_date(&self) {
        self.small.assert_up_to_date();
    }

    /// Installs the new release without starting it, with a fault in it.
    fn install_with(&self, fault: &str) -> PathBuf {
        self.run(&["apply", "--tags", "prepare,configure"]).ended_with(0);
        let releases = self.old.parent().expect("the releases");
        let new = fs::read_dir(releases).expect("a folder").map(|entry| entry.expect("an entry").path());
        let new = new.filter(|path| *path != self.old).find(|path| path.is_dir()).expect("the new release");
        let switch = new.join("standin-faults.toml");
        fs::write(&switch, fault).expect("a fault");
        switch
    }
}

#[test]
fn upgrade_keeps_files_and_rollback_restores_release() {
    let used = Used::new();
    let (server, old_tree, name) = (used.server(), used.old_tree(), used.name());
    used.run(&["apply", "--tags", "prepare,configure"]).ended_with(0);
    assert_eq!((used.server(), used.name()), (server.clone(), name.clone()), "the node was restarted");
    tree::assert_same(&old_tree, &used.old_tree(), "the running release was changed");

    let plan = used.run(&["plan", "--exit-code"]).ended_with(3);
    assert!(plan.text().contains(&format!("release {name} -> 4.6.0-")), "{}", plan.text());
    let checked = used.run(&["upgrade", "--check"]).ended_with(0);
    for word in [name.as_str(), "databases, 4.5.0 -> 4.6.0: "] {
        assert!(checked.text().contains(word), "{}", checked.text());
    }
    // Not confirmed: nothing happens.
    let unconfirmed = used.run(&["upgrade"]).ended_with(2);
    let error = &unconfirmed.stderr;
    assert!(error.contains("no terminal to confirm on") && error.contains("--yes"), "{error}");
    let no = used.answer("upgrade", "no").ended_with(130);
    assert!(no.stderr.contains("1 node will be upgraded") && no.stderr.contains("not confirmed"), "{no:?}");
    assert_eq!((used.server(), used.name()), (server, name.clone()), "the node was changed");
    let run = used.run(&["upgrade", "--yes"]).ended_with(0);
    assert!(run.text().contains(&format!("release {name} -> 4.6.0-")), "{}", run.text());
    let reason = format!("restarted all-in-one am1: release {name} -> 4.6.0-");
    assert!(run.text().contains(&reason), "{}", run.text());
    assert!(used.name().starts_with("4.6.0-"));
    used.assert_files_kept();
    used.assert_up_to_date();
    used.run(&["status"]).ended_with(0);

    // Rolled back to the release and configuration before.
    let new = used.name();
    let nothing = used.run(&["upgrade", "--yes"]).ended_with(1);
    assert!(nothing.text().contains("nothing to upgrade"), "{}", nothing.text());
    used.run(&["rollback"]).ended_with(2);
    assert_eq!(used.name(), new, "rolled back without confirmation");
    let back = used.answer("rollback", "yes").ended_with(0);
    assert_eq!(used.name(), name, "{}", back.text());
    for word in [new.as_str(), name.as_str(), "the next apply will upgrade these nodes again"] {
        assert!(back.text().contains(word), "{}", back.text());
    }
    let twice = used.run(&["rollback", "--yes"]).ended_with(1);
    assert!(twice.text().contains("no host was changed"), "{}", twice.text());
    used.run(&["apply"]).ended_with(0);
    assert_eq!(used.name(), new, "the apply did not upgrade again");
}

#[test]
fn crash_during_start_rolls_back_and_next_apply_upgrades() {
    let used = Used::new();
    let name = used.name();
    let switch = used.install_with("crash_before_marker = true\n");
    let run = used.run(&["apply"]).ended_with(1);
    assert!(
        run.text().contains(&format!("did not become healthy; rolled back to {name}, healthy")),
        "{}",
        run.text()
    );
    assert!(run.text().contains("WSO2 Carbon initialization Failed"), "no log lines: {}", run.text());
    assert_eq!(used.name(), name);
    used.server();
    used.run(&["status"]).ended_with(0);
    fs::remove_file(switch).expect("the fault is removed");
    used.run(&["apply"]).ended_with(0);
    assert!(used.name().starts_with("4.6.0-"));
    used.assert_files_kept();
    used.assert_up_to_date();
}

#[test]
fn crash_after_start_rolls_back() {
    let used = Used::new();
    let name = used.name();
    // The health check `started` has passed by then; `complete` takes longer.
    let switch = used.install_with("crash_after_marker = 2\n");
    let run = used.run(&["apply"]).ended_with(1);
    assert!(
        run.text().contains(&format!("did not become healthy; rolled back to {name}, healthy")),
        "{}",
        run.text()
    );
    assert!(
        run.text().contains("all-in-one am1: complete"),
        "the failed health check is missing: {}",
        run.text()
    );
    assert_eq!(used.name(), name);
    used.server();
    used.run(&["status"]).ended_with(0);
    fs::remove_file(switch).expect("the fault is removed");
    // Files changed in the meantime are kept, too.
    fs::write(used.old.join(KEPT[1]), "changed since").expect("a file of the node");
    used.run(&["apply"]).ended_with(0);
    assert!(used.name().starts_with("4.6.0-"));
    assert_eq!(fs::read_to_string(used.current().join(KEPT[1])).expect("the file"), "changed since");
    used.assert_up_to_date();
}

#[test]
fn apply_after_killed_upgrade_ends_in_new_release() {
    let mut used = Used::new();
    let took = used.run(&["apply"]).ended_with(0).took;
    for moment in [3, 5, 7] {
        used.small.rehearsal.reset().expect("a new machine");
        used.begin();
        let inventory = used.small.inventory();
        let mut run = used.small.operator.start(["apply".as_ref(), inventory.as_os_str()]);
        let at = run.started_at() + took * moment / 8;
        until(Duration::from_secs(60), || Instant::now() >= at || run.has_ended());
        run.signal(Signal::KILL);
        assert!(
            until(Duration::from_secs(60), || agents(&used.small).is_empty()),
            "its agent is still running"
        );
        used.run(&["apply"]).ended_with(0);
        assert!(used.name().starts_with("4.6.0-"), "moment {moment}");
        used.assert_files_kept();
        used.assert_up_to_date();
    }
}

#[test]
fn reordered_keys_are_written_without_restart() {
    let mut small = Small::new();
    let custom = json!({"admin_console": {"authenticator": {"iwa_ui_authenticator": {"config": "a", "enable": true}}}});
    small.rehearsal.inventory.set("config", custom);
    let inventory = small.inventory();
    let apply = |options: &[&str]| {
        let arguments = ["apply".as_ref(), inventory.as_os_str()].into_iter();
        small.operator.run(arguments.chain(options.iter().map(AsRef::as_ref)))
    };
    apply(&[]).ended_with(0);
    let written = fs::read_to_string(&inventory).expect("the inventory");
    let mut lines: Vec<&str> = written.lines().collect();
    let at = lines.iter().position(|line| line.trim() == "config: a").expect("the key");
    assert_eq!(lines[at + 1].trim(), "enable: true");
    lines.swap(at, at + 1);
    fs::write(&inventory, lines.join("\n")).expect("the inventory in another order");
    let run = apply(&JSON).ended_with(0);
    let changed = changed_steps(&run);
    assert_eq!(changed.len(), 1, "only the file is written: {changed:?}\n{}", run.text());
    assert!(changed[0].contains("deployment.toml"), "{changed:?}");

    fs::write(&inventory, written.replace("config: a\n", "config: b\n")).expect("another value");
    let run = apply(&[]).ended_with(0);
    let reason = "restarted all-in-one am1: deployment.toml ([admin_console.authenticator.iwa_ui_authenticator] config) changed";
    assert!(run.text().contains(reason), "{}", run.text());
}

#[test]
fn upgrade_to_version_and_write_inventory() {
    let mut used = Used::new();
    let distributions = apim_tests::distributions::Distributions::ready();
    let digest = |version: &str| distributions.digest(&format!("wso2am-{version}.zip")).to_owned();
    let refused = |used: &Used, to: &str, words: &[&str]| {
        let run = used.run(&["upgrade", "--to", to, "--yes"]).ended_with(2);
        for word in words {
            assert!(run.stderr.contains(word), "{word} is not in\n{}", run.text());
        }
    };
    refused(&used, "4.6.0", &["the inventory already names 4.6.0", "omit --to"]);
    refused(&used, "4.5.0", &["4.5.0 is older than 4.6.0", "rollback"]);
    used.small.rehearsal.inventory.release("4.5.0");
    refused(&used, "4.9.0", &["unsupported version `4.9.0`"]);
    refused(&used, "4.6", &["expected the form 4.6.0"]);
    refused(&used, "4.6.0", &["no SHA-256 for `wso2am-4.6.0.zip`", "inventory.yaml:"]);
    assert_eq!(used.name(), used.old.file_name().expect("a name").to_string_lossy());

    let digests = json!({"all_in_one": digest("4.5.0"), "wso2am-4.6.0.zip": digest("4.6.0")});
    used.small.rehearsal.inventory.set("distributions.sha256", digests);
    let checked = used.run(&["upgrade", "--to", "4.6.0", "--check"]).ended_with(0);
    assert!(checked.text().contains("(version 4.5.0)"), "{}", checked.text());
    let run = used.run(&["upgrade", "--to", "4.6.0", "--yes"]).ended_with(0);
    let mentions = run.stderr.matches("(version 4.5.0)").count();
    assert!(mentions == 2 && run.stderr.contains("the next apply returns the nodes to it"), "{}", run.text());
    assert!(used.name().starts_with("4.6.0-"), "{}", used.name());
    let twice = used.run(&["upgrade", "--to", "4.6.0", "--yes"]).ended_with(1);
    assert!(twice.stderr.contains("every node runs 4.6.0"), "{}", twice.text());

    // With --write, the inventory is updated.
    used.run(&["rollback", "--yes"]).ended_with(0);
    let path = used.small.inventory();
    let text =
        fs::read_to_string(&path).expect("the inventory").replacen("all:", "# A comment, 4.5.0.\nall:", 1);
    fs::write(&path, &text).expect("an inventory with a comment");
    let words = ["upgrade".as_ref(), path.as_os_str()].into_iter();
    let words = words.chain(["--to", "4.6.0", "--write", "--yes"].map(AsRef::as_ref));
    let run = used.small.operator.run(words).ended_with(0);
    assert!(run.stderr.contains("(version 4.5.0): changed to 4.6.0"), "{}", run.text());
    let new = fs::read_to_string(&path).expect("the inventory");
    let differ: Vec<_> = text.lines().zip(new.lines()).filter(|(old, new)| old != new).collect();
    assert_eq!((differ.len(), text.lines().count()), (1, new.lines().count()), "{differ:?}");
    assert!(differ[0].1.trim().starts_with("version:") && differ[0].1.contains("4.6.0"), "{differ:?}");
    let words = ["apply".as_ref(), path.as_os_str()].into_iter().chain(JSON.map(AsRef::as_ref));
    assert_nothing_changed(used.small.operator.run(words));
    assert!(used.name().starts_with("4.6.0-"), "{}", used.name());
}
