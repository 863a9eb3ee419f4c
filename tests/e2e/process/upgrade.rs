//! Upgrades: beside the release that serves, with what the node keeps; back again by hand, by itself, and forward after every interruption.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use apim_tests::poll::until;
use apim_tests::tree;
use rustix::process::Signal;
use serde_json::json;

use super::Small;
use super::interrupted::agents;
use crate::changed;

const KEPT: [&str; 2] = ["repository/database/WSO2CARBON_DB.mv.db", "solr/data/index/segment"];
/// What a release is shipped with and no node makes.
const SHIPPED: &str = "repository/database/WSO2SHARED_DB.mv.db";

/// A node on 4.5.0 that has made something, and an inventory that names 4.6.0.
struct Grown {
    small: Small,
    old: PathBuf,
}

impl Grown {
    fn new() -> Self {
        let mut small = Small::new();
        small.rehearsal.inventory.set("health.started_secs", json!(20));
        let mut grown = Self { old: PathBuf::new(), small };
        grown.begin();
        grown
    }

    /// Installs 4.5.0 on a new machine, where the node makes something.
    fn begin(&mut self) {
        self.small.rehearsal.inventory.release("4.5.0");
        self.small.apply().ended_with(0);
        self.old = self.current();
        for kept in KEPT {
            let path = self.old.join(kept);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of its own");
            fs::write(path, "grown").expect("what the node made");
        }
        fs::write(self.old.join(SHIPPED), "not to be carried over").expect("written");
        self.small.rehearsal.inventory.release("4.6.0");
    }

    /// The home of the release in use, on this machine.
    fn current(&self) -> PathBuf {
        let root = &self.small.host().root;
        let link = fs::read_link(root.join("opt/wso2/all-in-one/current")).expect("the link");
        root.join(link.strip_prefix("/").expect("an absolute path"))
    }

    fn name(&self) -> String {
        self.current().file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// The server that runs, and when it began.
    fn server(&self) -> String {
        let home = format!("-Dcarbon.home={}", self.current().display());
        let is_it = |arguments: &str| arguments.contains("bootstrap.Bootstrap") && arguments.contains(&home);
        let found = apim_tests::process::processes(is_it);
        assert_eq!(found.len(), 1, "one server runs from {home}");
        let stat = format!("/proc/{}/stat", found[0].as_raw_nonzero());
        let stat = fs::read_to_string(stat).expect("it lives");
        stat.split_whitespace().nth(21).expect("its start").to_owned()
    }

    fn run(&self, verb: &[&str]) -> apim_tests::cli::Run {
        let inventory = self.small.inventory().display().to_string();
        let mut arguments = vec![verb[0].to_owned(), inventory];
        arguments.extend(verb[1..].iter().map(|word| (*word).to_owned()));
        self.small.operator.run(arguments)
    }

    /// Runs a verb on a terminal, where somebody types `line`.
    fn answer(&self, verb: &str, line: &str) -> apim_tests::cli::Run {
        let inventory = self.small.inventory().display().to_string();
        self.small.operator.answer([verb, &inventory], line)
    }

    /// The release that was left, as it lies there.
    fn left(&self) -> String {
        let root = self.small.host().root.clone();
        let below = self.old.strip_prefix(&root).expect("below the root").display().to_string();
        tree::describe(&root, &[&below], &|path| super::super::varies(path))
    }

    fn keeps_what_it_made(&self) {
        let new = self.current();
        for kept in KEPT {
            for home in [&self.old, &new] {
                assert_eq!(fs::read_to_string(home.join(kept)).expect(kept), "grown", "{}", home.display());
            }
        }
        let shipped = fs::read_to_string(new.join(SHIPPED)).expect("what is shipped");
        assert_ne!(shipped, "not to be carried over");
    }

    /// Puts the new release in its place, with a fault in it.
    fn spoil(&self, fault: &str) -> PathBuf {
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
fn a_release_is_placed_beside_the_one_that_serves_and_takes_over_what_the_node_made() {
    let grown = Grown::new();
    let (server, left, name) = (grown.server(), grown.left(), grown.name());
    grown.run(&["apply", "--tags", "prepare,configure"]).ended_with(0);
    assert_eq!((grown.server(), grown.name()), (server.clone(), name.clone()), "the node noticed it");
    tree::assert_same(&left, &grown.left(), "the release that serves was touched");

    let plan = grown.run(&["plan", "--exit-code"]).ended_with(3);
    assert!(plan.text().contains(&format!("release {name} -> 4.6.0-")), "{}", plan.text());
    let asked = grown.run(&["upgrade", "--check"]).ended_with(0);
    for word in [name.as_str(), "databases, 4.5.0 -> 4.6.0: "] {
        assert!(asked.text().contains(word), "{}", asked.text());
    }
    // Nobody is there to be asked, or somebody says no: nothing happens.
    let unasked = grown.run(&["upgrade"]).ended_with(2);
    assert!(unasked.stderr.contains("nobody is there to be asked") && unasked.stderr.contains("--yes"));
    let no = grown.answer("upgrade", "no").ended_with(130);
    assert!(no.stderr.contains("1 node will be upgraded") && no.stderr.contains("not confirmed"), "{no:?}");
    assert_eq!((grown.server(), grown.name()), (server, name.clone()), "the node was touched");
    let run = grown.run(&["upgrade", "--yes"]).ended_with(0);
    assert!(run.text().contains(&format!("release {name} -> 4.6.0-")), "{}", run.text());
    let reason = format!("restarted all-in-one am1: release {name} -> 4.6.0-");
    assert!(run.text().contains(&reason), "{}", run.text());
    assert!(grown.name().starts_with("4.6.0-"));
    grown.keeps_what_it_made();
    assert_eq!(changed(&grown.run(&["apply"]).ended_with(0)), 0);
    grown.run(&["status"]).ended_with(0);

    // And back, with what it was started with then.
    let new = grown.name();
    let nothing = grown.run(&["upgrade", "--yes"]).ended_with(1);
    assert!(nothing.text().contains("nothing would be upgraded"), "{}", nothing.text());
    grown.run(&["rollback"]).ended_with(2);
    assert_eq!(grown.name(), new, "nobody was asked");
    let back = grown.answer("rollback", "yes").ended_with(0);
    assert_eq!(grown.name(), name, "{}", back.text());
    for word in [new.as_str(), name.as_str(), "goes forward again with the next apply"] {
        assert!(back.text().contains(word), "{}", back.text());
    }
    let twice = grown.run(&["rollback", "--yes"]).ended_with(1);
    assert!(twice.text().contains("no host was changed"), "{}", twice.text());
    grown.run(&["apply"]).ended_with(0);
    assert_eq!(grown.name(), new, "an apply goes forward again");
}

#[test]
fn a_node_that_does_not_become_healthy_goes_back_by_itself_and_the_next_apply_goes_forward() {
    let grown = Grown::new();
    let name = grown.name();
    let switch = grown.spoil("crash_before_marker = true\n");
    let run = grown.run(&["apply"]).ended_with(1);
    assert!(
        run.text().contains(&format!("did not become healthy; back on {name}, healthy")),
        "{}",
        run.text()
    );
    assert!(run.text().contains("WSO2 Carbon initialization Failed"), "its log lines: {}", run.text());
    assert_eq!(grown.name(), name);
    grown.server();
    grown.run(&["status"]).ended_with(0);
    fs::remove_file(switch).expect("the fault is gone");
    grown.run(&["apply"]).ended_with(0);
    assert!(grown.name().starts_with("4.6.0-"));
    grown.keeps_what_it_made();
    assert_eq!(changed(&grown.run(&["apply"]).ended_with(0)), 0);
}

#[test]
fn a_node_that_starts_and_does_not_stay_up_goes_back_too() {
    let grown = Grown::new();
    let name = grown.name();
    // The gate `started` has passed by then; `complete` asks for longer.
    let switch = grown.spoil("crash_after_marker = 2\n");
    let run = grown.run(&["apply"]).ended_with(1);
    assert!(
        run.text().contains(&format!("did not become healthy; back on {name}, healthy")),
        "{}",
        run.text()
    );
    assert!(run.text().contains("all-in-one am1: complete"), "the gate that failed: {}", run.text());
    assert_eq!(grown.name(), name);
    grown.server();
    grown.run(&["status"]).ended_with(0);
    fs::remove_file(switch).expect("the fault is gone");
    // What it makes meanwhile is not lost either.
    fs::write(grown.old.join(KEPT[1]), "grown since").expect("what the node made");
    grown.run(&["apply"]).ended_with(0);
    assert!(grown.name().starts_with("4.6.0-"));
    assert_eq!(fs::read_to_string(grown.current().join(KEPT[1])).expect("it"), "grown since");
    assert_eq!(changed(&grown.run(&["apply"]).ended_with(0)), 0);
}

#[test]
fn whatever_dies_in_an_upgrade_the_next_apply_ends_in_the_new_release() {
    let mut grown = Grown::new();
    let took = grown.run(&["apply"]).ended_with(0).took;
    for moment in [3, 5, 7] {
        grown.small.rehearsal.reset().expect("a new machine");
        grown.begin();
        let inventory = grown.small.inventory();
        let mut run = grown.small.operator.start(["apply".as_ref(), inventory.as_os_str()]);
        let at = run.since() + took * moment / 8;
        until(Duration::from_secs(60), || Instant::now() >= at || run.has_ended());
        run.signal(Signal::KILL);
        assert!(
            until(Duration::from_secs(60), || agents(&grown.small).is_empty()),
            "its agent is still there"
        );
        grown.run(&["apply"]).ended_with(0);
        assert!(grown.name().starts_with("4.6.0-"), "moment {moment}");
        grown.keeps_what_it_made();
        assert_eq!(changed(&grown.run(&["apply"]).ended_with(0)), 0, "moment {moment}");
    }
}

#[test]
fn a_file_that_says_the_same_in_another_way_is_written_and_restarts_nothing() {
    let mut small = Small::new();
    let custom = json!({"admin_console": {"authenticator": {"iwa_ui_authenticator": {"config": "a", "enable": true}}}});
    small.rehearsal.inventory.set("config", custom);
    let inventory = small.inventory();
    let apply = || small.operator.run(["apply".as_ref(), inventory.as_os_str()]);
    apply().ended_with(0);
    let written = fs::read_to_string(&inventory).expect("the inventory");
    let mut lines: Vec<&str> = written.lines().collect();
    let at = lines.iter().position(|line| line.trim() == "config: a").expect("the key");
    assert_eq!(lines[at + 1].trim(), "enable: true");
    lines.swap(at, at + 1);
    fs::write(&inventory, lines.join("\n")).expect("the inventory in another order");
    let run = apply().ended_with(0);
    assert_eq!(changed(&run), 1, "the file is written, nothing else happens\n{}", run.text());
    assert!(!run.text().contains("restart"), "{}", run.text());

    fs::write(&inventory, written.replace("config: a\n", "config: b\n")).expect("another value");
    let run = apply().ended_with(0);
    let reason = "restarted all-in-one am1: deployment.toml ([admin_console.authenticator.iwa_ui_authenticator] config) changed";
    assert!(run.text().contains(reason), "{}", run.text());
}

#[test]
fn an_upgrade_goes_to_a_version_that_the_inventory_does_not_name_and_says_where_it_should() {
    let mut grown = Grown::new();
    let distributions = apim_tests::distributions::Distributions::ready();
    let digest = |version: &str| distributions.digest(&format!("wso2am-{version}.zip")).to_owned();
    let refused = |grown: &Grown, to: &str, words: &[&str]| {
        let run = grown.run(&["upgrade", "--to", to, "--yes"]).ended_with(2);
        for word in words {
            assert!(run.stderr.contains(word), "{word} is not in\n{}", run.text());
        }
    };
    refused(&grown, "4.6.0", &["the inventory names 4.6.0 already", "leave --to out"]);
    refused(&grown, "4.5.0", &["4.5.0 is older than 4.6.0", "rollback"]);
    grown.small.rehearsal.inventory.release("4.5.0");
    refused(&grown, "4.9.0", &["`4.9.0` is not known"]);
    refused(&grown, "4.6", &["not of the form 4.6.0"]);
    refused(&grown, "4.6.0", &["no SHA-256 for `wso2am-4.6.0.zip`", "inventory.yaml:"]);
    assert_eq!(grown.name(), grown.old.file_name().expect("a name").to_string_lossy());

    let digests = json!({"all_in_one": digest("4.5.0"), "wso2am-4.6.0.zip": digest("4.6.0")});
    grown.small.rehearsal.inventory.set("distributions.sha256", digests);
    let looked = grown.run(&["upgrade", "--to", "4.6.0", "--check"]).ended_with(0);
    assert!(looked.text().contains("(version 4.5.0)"), "{}", looked.text());
    let run = grown.run(&["upgrade", "--to", "4.6.0", "--yes"]).ended_with(0);
    let told = run.stderr.matches("(version 4.5.0)").count();
    assert!(told == 2 && run.stderr.contains("the next apply moves the nodes back"), "{}", run.text());
    assert!(grown.name().starts_with("4.6.0-"), "{}", grown.name());
    let twice = grown.run(&["upgrade", "--to", "4.6.0", "--yes"]).ended_with(1);
    assert!(twice.stderr.contains("every node runs from 4.6.0"), "{}", twice.text());

    // And with the inventory brought along.
    grown.run(&["rollback", "--yes"]).ended_with(0);
    let path = grown.small.inventory();
    let text =
        fs::read_to_string(&path).expect("the inventory").replacen("all:", "# A word, 4.5.0.\nall:", 1);
    fs::write(&path, &text).expect("an inventory with a comment");
    let words = ["upgrade".as_ref(), path.as_os_str()].into_iter();
    let words = words.chain(["--to", "4.6.0", "--write", "--yes"].map(AsRef::as_ref));
    let run = grown.small.operator.run(words).ended_with(0);
    assert!(run.stderr.contains("(version 4.5.0): now 4.6.0"), "{}", run.text());
    let new = fs::read_to_string(&path).expect("the inventory");
    let differ: Vec<_> = text.lines().zip(new.lines()).filter(|(old, new)| old != new).collect();
    assert_eq!((differ.len(), text.lines().count()), (1, new.lines().count()), "{differ:?}");
    assert!(differ[0].1.trim().starts_with("version:") && differ[0].1.contains("4.6.0"), "{differ:?}");
    let run = grown.small.operator.run(["apply".as_ref(), path.as_os_str()]).ended_with(0);
    assert_eq!(changed(&run), 0, "{}", run.text());
    assert!(grown.name().starts_with("4.6.0-"), "{}", grown.name());
}
