//! A node is added and removed: peers are reconfigured, and nothing of the node remains.

use std::fs;

use apim_tests::cli::{Operator, Run};
use apim_tests::distributions::Distributions;
use apim_tests::process::{Fault, processes};
use apim_tests::rehearsal::Rehearsal;
use apim_tests::tree;

use crate::{JSON, Recap, assert_nothing_changed};

const NODES: &[(&str, &str, &str)] = &[
    ("gw1", "gateway", "gateway"),
    ("cp1", "control_plane", "control-plane"),
    ("tm1", "traffic_manager", "traffic-manager"),
    ("tm2", "traffic_manager", "traffic-manager"),
];

struct Scaled {
    operator: Operator,
    rehearsal: Rehearsal,
}

impl Scaled {
    fn run(&self, words: &[&str]) -> Run {
        self.operator.run(self.words(words))
    }

    /// Runs on a terminal where `line` is typed.
    fn answer(&self, words: &[&str], line: &str) -> Run {
        self.operator.answer(self.words(words), line)
    }

    /// Applies and asserts that nothing changed. Returns the output.
    #[track_caller]
    fn assert_up_to_date(&self) -> String {
        let run = self.run(&[&["apply"], &JSON[..]].concat());
        let text = run.text();
        assert_nothing_changed(run);
        text
    }

    fn words(&self, words: &[&str]) -> Vec<String> {
        let inventory = self.rehearsal.write().display().to_string();
        let (verb, rest) = words.split_first().expect("a verb");
        let rest = rest.iter().map(|word| (*word).to_owned());
        [(*verb).to_owned(), inventory].into_iter().chain(rest).collect()
    }

    fn toml(&self, host: &str, component: &str) -> String {
        let releases = self.host(host).join("opt/wso2").join(component).join("releases");
        let release = fs::read_dir(releases).expect("releases").flatten().next().expect("a release").path();
        fs::read_to_string(release.join("repository/conf/deployment.toml")).expect("deployment.toml")
    }

    fn names(&self, host: &str) -> String {
        fs::read_to_string(self.host(host).join("etc/hosts")).expect("the hosts file")
    }

    fn host(&self, name: &str) -> &std::path::Path {
        &self.rehearsal.lab.host(name).expect("a host").root
    }

    fn tree(&self, name: &str) -> String {
        tree::describe(self.host(name), &["opt", "etc"], &super::super::varies)
    }

    /// The number of server processes of a host.
    fn servers(&self, name: &str) -> usize {
        let mark = self.host(name).join("opt").display().to_string();
        processes(|arguments| arguments.contains(&mark)).len()
    }
}

#[test]
fn traffic_manager_is_added_and_removed() {
    let rehearsal = Rehearsal::up(NODES, &Distributions::ready()).expect("the process lab comes up");
    let mut scaled = Scaled { operator: Operator::new(), rehearsal };
    let whole = scaled.rehearsal.inventory.clone();
    let before = scaled.tree("tm2");
    scaled.rehearsal.inventory.without("tm2");
    scaled.run(&["apply"]).ended_with(0);
    let (gateway, names) = (scaled.toml("gw1", "gateway"), scaled.names("cp1"));

    // Added: traffic managers are in the configuration of their peers, which are restarted.
    scaled.rehearsal.inventory = whole;
    let grown = scaled.run(&[&["apply"], &JSON[..]].concat()).ended_with(0);
    let recap = Recap::of(&grown);
    for peer in ["gw1", "tm1"] {
        assert!(recap.hosts[peer].changed > 1, "{peer} was not configured and restarted: {recap:?}");
    }
    // A control plane uses the name of the role, so only its hosts file changes.
    assert_eq!(recap.hosts["cp1"].changed, 1, "{recap:?}");
    assert!(scaled.toml("gw1", "gateway").contains("tm2"), "{}", scaled.toml("gw1", "gateway"));
    scaled.assert_up_to_date();
    assert!(scaled.servers("tm2") > 0);

    // Its lines were deleted too early: the node is reported as orphaned.
    let whole = scaled.rehearsal.inventory.clone();
    scaled.rehearsal.inventory.without("tm2");
    let plan = scaled.run(&["plan"]).ended_with(0);
    assert!(
        plan.stderr.contains("traffic manager tm2 on tm2") && plan.stderr.contains("remove"),
        "{}",
        plan.text()
    );
    scaled.rehearsal.inventory = whole;

    remove_is_refused(&scaled);
    remove_leaves_nothing(&mut scaled, &before, &gateway, &names);
}

/// Without confirmation, or if it would be an outage.
fn remove_is_refused(scaled: &Scaled) {
    let unconfirmed = scaled.run(&["remove", "tm2"]).ended_with(2);
    assert!(
        unconfirmed.stderr.contains("--yes")
            && unconfirmed.stderr.contains("remove unit wso2-traffic-manager"),
        "{}",
        unconfirmed.text()
    );
    let no = scaled.answer(&["remove", "tm2"], "n").ended_with(130);
    assert!(
        no.stderr.contains("Remove tm2 from the cluster?") && no.stderr.contains("not confirmed"),
        "{}",
        no.text()
    );
    let last = scaled.run(&["remove", "cp1", "--yes"]).ended_with(2);
    assert!(
        last.stderr.contains("the last control plane") && last.stderr.contains("--allow-outage"),
        "{}",
        last.text()
    );
    let unknown = scaled.run(&["remove", "tm3", "--yes"]).ended_with(2);
    assert!(unknown.stderr.contains("did you mean `tm"), "{}", unknown.text());
    assert!(scaled.servers("tm2") > 0);
}

/// Peers and host are as they were before the node was added.
fn remove_leaves_nothing(scaled: &mut Scaled, before: &str, gateway: &str, names: &str) {
    let checked = scaled.run(&["remove", "tm2", "--check"]).ended_with(0);
    assert!(checked.stdout.contains("remove /opt/wso2/traffic-manager/releases/"), "{}", checked.text());
    assert!(scaled.servers("tm2") > 0);
    let removed = scaled.run(&["remove", "tm2", "--yes"]).ended_with(0);
    assert!(removed.stderr.contains("delete its lines"), "{}", removed.text());
    assert_eq!(scaled.servers("tm2"), 0);
    tree::assert_same(before, &scaled.tree("tm2"), "the removed host");
    assert_eq!(scaled.toml("gw1", "gateway"), gateway, "the gateway still refers to tm2");
    assert_eq!(scaled.names("cp1"), names, "a peer still knows the name of tm2");
    let again = scaled.run(&["remove", "tm2", "--yes"]).ended_with(0);
    assert!(again.stderr.contains("tm2 is already uninstalled"), "{}", again.text());

    scaled.rehearsal.inventory.without("tm2");
    let text = scaled.assert_up_to_date();
    assert!(!text.contains("tm2"), "{text}");
}

#[test]
fn remove_gone_changes_only_peers() {
    let rehearsal = Rehearsal::up(NODES, &Distributions::ready()).expect("the process lab comes up");
    let mut scaled = Scaled { operator: Operator::new(), rehearsal };
    scaled.run(&["apply"]).ended_with(0);
    let (left, servers) = (scaled.tree("tm2"), scaled.servers("tm2"));
    assert!(servers > 0 && scaled.toml("gw1", "gateway").contains("tm2"));
    scaled.rehearsal.lab.host("tm2").expect("the host").fault(Fault::Refuse);

    // Without --gone, peers keep it: the host may be unreachable only for a while.
    let lost = scaled.run(&["remove", "tm2", "--yes"]).ended_with(1);
    assert!(lost.stderr.contains("no host was changed") && lost.stderr.contains("--gone"), "{}", lost.text());
    assert!(scaled.toml("gw1", "gateway").contains("tm2"), "a peer was changed");

    let unconfirmed = scaled.run(&["remove", "tm2", "--gone"]).ended_with(2);
    assert!(unconfirmed.stderr.contains("tm2 itself is not changed"), "{}", unconfirmed.text());
    let gone = scaled.run(&["remove", "tm2", "--gone", "--yes"]).ended_with(0);
    assert!(
        gone.stderr.contains("tm2 removed from the cluster; the host itself was not changed"),
        "{}",
        gone.text()
    );
    for peer in ["gw1", "cp1", "tm1"] {
        assert!(!scaled.names(peer).contains("tm2"), "{}", scaled.names(peer));
    }
    assert!(!scaled.toml("gw1", "gateway").contains("tm2"), "{}", scaled.toml("gw1", "gateway"));
    assert_eq!(scaled.servers("tm2"), servers, "tm2 was changed");
    tree::assert_same(&left, &scaled.tree("tm2"), "the unreachable host");
    let again = scaled.run(&["remove", "tm2", "--gone", "--yes"]).ended_with(0);
    assert!(again.stderr.contains("no peer refers to tm2"), "{}", again.text());
    let arguments = [&["remove", "tm2", "--gone", "--yes"], &JSON[..]].concat();
    assert_nothing_changed(scaled.run(&arguments));

    scaled.rehearsal.inventory.without("tm2");
    let text = scaled.assert_up_to_date();
    assert!(!text.contains("tm2"), "{text}");
}
