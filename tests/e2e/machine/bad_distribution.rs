//! Distributions with a wrong digest never reach a running cluster, neither pushed nor pulled.

use std::fs;

use apim_tests::distributions::Distributions;
use apim_tests::files::{FileServer, Trouble};
use apim_tests::machine::{BRIDGE_ADDRESS, Topology};
use apim_tests::tree;
use serde_json::json;

use super::{Node, Site};

#[test]
fn flipped_bit_in_upgrade_changes_no_running_node() {
    let Some(mut site) = Site::up(&Topology::single().expect("a topology")) else { return };
    site.inventory.release("4.5.0");
    site.run("apply", &[]).ended_with(0);
    let before = State::of(&site);

    let folder = tempfile::tempdir().expect("a folder");
    let intact = Distributions::ready();
    let damaged = intact.copied_to(folder.path());
    let zip = folder.path().join("wso2am-universal-gw-4.6.0.zip");
    let mut bytes = fs::read(&zip).expect("the zip");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&zip, bytes).expect("a damaged zip");
    site.inventory.release("4.6.0");

    site.inventory.set("distributions.source", json!(damaged.folder()));
    let pushed = site.run("apply", &[]).ended_with(2);
    assert!(pushed.text().contains("wso2am-universal-gw-4.6.0.zip"), "{}", pushed.text());
    before.assert_unchanged(&site, "after a pushed zip was refused");

    // Every host verifies the digest itself.
    let server = FileServer::start(intact.folder(), (BRIDGE_ADDRESS, 0)).expect("a file server");
    server.trouble(Trouble::Flip);
    site.inventory.set("distributions.source", json!(server.url()));
    site.inventory.set("distributions.fetch", json!("pull"));
    let pulled = site.run("apply", &[]).ended_with(1);
    assert!(!server.requests().is_empty(), "no host has pulled anything");
    assert!(
        pulled.text().contains(&intact.digest("wso2am-universal-gw-4.6.0.zip")[..12]),
        "{}",
        pulled.text()
    );
    before.assert_unchanged(&site, "after pulled zips were refused");

    server.trouble(Trouble::None);
    site.run("apply", &[]).ended_with(0);
    site.assert_up_to_date();
}

/// What must not change when a distribution is refused.
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
    fn assert_unchanged(&self, site: &Site, when: &str) {
        let now = Self::of(site);
        assert_eq!(self.started, now.started, "{when}: a node was restarted");
        tree::assert_same(&self.trees, &now.trees, when);
    }
}
