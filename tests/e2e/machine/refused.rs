//! A distribution that is not what its digest says never reaches a cluster that runs: neither pushed nor pulled.

use std::fs;

use apim_tests::distributions::Distributions;
use apim_tests::files::{FileServer, Trouble};
use apim_tests::machine::{BRIDGE_ADDRESS, Topology};
use apim_tests::tree;
use serde_json::json;

use super::{Node, Site};
use crate::changed;

#[test]
fn a_flipped_bit_in_an_upgrade_leaves_running_nodes_untouched() {
    let Some(mut site) = Site::up(&Topology::single().expect("a topology")) else { return };
    site.inventory.release("4.5.0");
    site.run("apply", &[]).ended_with(0);
    let before = State::of(&site);

    let folder = tempfile::tempdir().expect("a folder");
    let whole = Distributions::ready();
    let spoilt = whole.copied_to(folder.path());
    let zip = folder.path().join("wso2am-universal-gw-4.6.0.zip");
    let mut bytes = fs::read(&zip).expect("the zip");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&zip, bytes).expect("a spoilt zip");
    site.inventory.release("4.6.0");

    site.inventory.set("distributions.source", json!(spoilt.folder()));
    let pushed = site.run("apply", &[]);
    assert!(pushed.code == 1 || pushed.code == 2, "{}", pushed.text());
    assert!(pushed.text().contains("wso2am-universal-gw-4.6.0.zip"), "{}", pushed.text());
    before.is_still_that_of(&site, "after a pushed zip was refused");

    // Every host finds out for itself.
    let server = FileServer::start(whole.folder(), (BRIDGE_ADDRESS, 0)).expect("a file server");
    server.trouble(Trouble::Flip);
    site.inventory.set("distributions.source", json!(server.url()));
    site.inventory.set("distributions.fetch", json!("pull"));
    let pulled = site.run("apply", &[]).ended_with(1);
    assert!(!server.asked().is_empty(), "no host has pulled anything");
    assert!(
        pulled.text().contains(&whole.digest("wso2am-universal-gw-4.6.0.zip")[..12]),
        "{}",
        pulled.text()
    );
    before.is_still_that_of(&site, "after pulled zips were refused");

    server.trouble(Trouble::None);
    site.run("apply", &[]).ended_with(0);
    assert_eq!(changed(&site.run("apply", &[]).ended_with(0)), 0);
}

/// What must not change while nothing is accepted.
struct State {
    started: Vec<u64>,
    trees: String,
}

impl State {
    fn of(site: &Site) -> Self {
        let nodes = site.nodes();
        let releases = |node: &Node| {
            let skip = |path: &str| crate::varies(path);
            let tree = tree::describe(&site.lab.disk(&node.host), &["opt/wso2", "etc/systemd/system"], &skip);
            tree.lines().map(|line| format!("{}: {line}\n", node.host)).collect::<String>()
        };
        Self {
            started: nodes.iter().map(|node| site.started(node)).collect(),
            trees: nodes.iter().map(releases).collect(),
        }
    }

    #[track_caller]
    fn is_still_that_of(&self, site: &Site, when: &str) {
        let now = Self::of(site);
        assert_eq!(self.started, now.started, "{when}: a node was restarted");
        tree::assert_same(&self.trees, &now.trees, when);
    }
}
