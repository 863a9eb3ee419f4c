//! The cluster grows by a node and shrinks by it again: peers are configured for it, and nothing of it is left.

use std::fs;

use apim_tests::cli::{Operator, Run};
use apim_tests::distributions::Distributions;
use apim_tests::process::{Fault, processes};
use apim_tests::rehearsal::Rehearsal;
use apim_tests::tree;

use crate::{changed, recap};

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

    /// The same on a terminal, where somebody types `line`.
    fn answer(&self, words: &[&str], line: &str) -> Run {
        self.operator.answer(self.words(words), line)
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

    /// Servers that run on a host.
    fn servers(&self, name: &str) -> usize {
        let mark = self.host(name).join("opt").display().to_string();
        processes(|arguments| arguments.contains(&mark)).len()
    }
}

#[test]
fn a_traffic_manager_comes_and_goes() {
    let rehearsal = Rehearsal::up(NODES, &Distributions::ready()).expect("the process lab comes up");
    let mut scaled = Scaled { operator: Operator::new(), rehearsal };
    let whole = scaled.rehearsal.inventory.clone();
    let before = scaled.tree("tm2");
    scaled.rehearsal.inventory.without("tm2");
    scaled.run(&["apply"]).ended_with(0);
    let (gateway, names) = (scaled.toml("gw1", "gateway"), scaled.names("cp1"));

    // It comes: who throttles is in the configuration of its peers, and they are restarted for it.
    scaled.rehearsal.inventory = whole;
    let grown = scaled.run(&["apply"]).ended_with(0);
    let recap = recap(&grown);
    for peer in ["gw1", "tm1"] {
        assert!(recap[peer]["changed"] > 1, "{peer} is configured and restarted: {recap:?}");
    }
    assert_eq!(recap["cp1"]["changed"], 1, "a control plane asks under the role's one name: {recap:?}");
    assert!(scaled.toml("gw1", "gateway").contains("tm2"), "{}", scaled.toml("gw1", "gateway"));
    assert_eq!(changed(&scaled.run(&["apply"]).ended_with(0)), 0);
    assert!(scaled.servers("tm2") > 0);

    // Its lines are gone too early: it is not forgotten.
    let whole = scaled.rehearsal.inventory.clone();
    scaled.rehearsal.inventory.without("tm2");
    let plan = scaled.run(&["plan"]).ended_with(0);
    assert!(
        plan.stderr.contains("traffic manager tm2 on tm2") && plan.stderr.contains("remove"),
        "{}",
        plan.text()
    );
    scaled.rehearsal.inventory = whole;

    // Who would not be asked, and what would be an outage, is refused before anything is done.
    let unasked = scaled.run(&["remove", "tm2"]).ended_with(2);
    assert!(
        unasked.stderr.contains("--yes") && unasked.stderr.contains("no unit wso2-traffic-manager"),
        "{}",
        unasked.text()
    );
    let no = scaled.answer(&["remove", "tm2"], "n").ended_with(130);
    assert!(
        no.stderr.contains("Take tm2 out of the cluster?") && no.stderr.contains("not confirmed"),
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

    // It goes: its peers are as they were without it, and so is its host, but for what others made there.
    let looked = scaled.run(&["remove", "tm2", "--check"]).ended_with(0);
    assert!(looked.stdout.contains("remove /opt/wso2/traffic-manager/releases/"), "{}", looked.text());
    assert!(scaled.servers("tm2") > 0);
    let removed = scaled.run(&["remove", "tm2", "--yes"]).ended_with(0);
    assert!(removed.stderr.contains("delete its lines"), "{}", removed.text());
    assert_eq!(scaled.servers("tm2"), 0);
    tree::assert_same(&before, &scaled.tree("tm2"), "the host that went");
    assert_eq!(scaled.toml("gw1", "gateway"), gateway, "a gateway is as it was without it");
    assert_eq!(scaled.names("cp1"), names, "its name is gone from its peers");
    let again = scaled.run(&["remove", "tm2", "--yes"]).ended_with(0);
    assert!(again.stderr.contains("nothing is left of ours on tm2"), "{}", again.text());

    scaled.rehearsal.inventory.without("tm2");
    let last = scaled.run(&["apply"]).ended_with(0);
    assert!(changed(&last) == 0 && !last.stderr.contains("tm2"), "{}", last.text());
}

#[test]
fn of_a_host_that_is_gone_only_its_peers_are_told() {
    let rehearsal = Rehearsal::up(NODES, &Distributions::ready()).expect("the process lab comes up");
    let mut scaled = Scaled { operator: Operator::new(), rehearsal };
    scaled.run(&["apply"]).ended_with(0);
    let (left, servers) = (scaled.tree("tm2"), scaled.servers("tm2"));
    assert!(servers > 0 && scaled.toml("gw1", "gateway").contains("tm2"));
    scaled.rehearsal.lab.host("tm2").expect("the host").fault(Fault::Refuse);

    // Without the word for it its peers are not told: it may be away for a while only.
    let lost = scaled.run(&["remove", "tm2", "--yes"]).ended_with(1);
    assert!(lost.stderr.contains("no host was changed") && lost.stderr.contains("--gone"), "{}", lost.text());
    assert!(scaled.toml("gw1", "gateway").contains("tm2"), "a peer was changed");

    let unasked = scaled.run(&["remove", "tm2", "--gone"]).ended_with(2);
    assert!(unasked.stderr.contains("nothing is done on tm2 itself"), "{}", unasked.text());
    let gone = scaled.run(&["remove", "tm2", "--gone", "--yes"]).ended_with(0);
    assert!(gone.stderr.contains("no peer names tm2 any more; nothing was done on it"), "{}", gone.text());
    for peer in ["gw1", "cp1", "tm1"] {
        assert!(!scaled.names(peer).contains("tm2"), "{}", scaled.names(peer));
    }
    assert!(!scaled.toml("gw1", "gateway").contains("tm2"), "{}", scaled.toml("gw1", "gateway"));
    assert_eq!(scaled.servers("tm2"), servers, "somebody was there all the same");
    tree::assert_same(&left, &scaled.tree("tm2"), "the host that was away");
    let again = scaled.run(&["remove", "tm2", "--gone", "--yes"]).ended_with(0);
    assert!(changed(&again) == 0 && again.stderr.contains("no peer names tm2"), "{}", again.text());

    scaled.rehearsal.inventory.without("tm2");
    let last = scaled.run(&["apply"]).ended_with(0);
    assert!(changed(&last) == 0 && !last.stderr.contains("tm2"), "{}", last.text());
}
