//! What was installed by earlier runs, as this machine remembers it: so that a node whose lines are gone from the inventory is not
//! forgotten where it still runs.
//!
//! One file for each inventory, in the user's state folder: names of hosts and nodes, no secret. That it cannot be written costs a
//! warning later, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use apim_protocol::outcome::Outcome;
use apim_protocol::value::Sha256;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::apim::Cluster;
use crate::engine::RunResult;
use crate::plan::model::Plan;
use crate::report::{Look, remark, say};
use crate::state;

/// Which nodes were installed, by host: each with words for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Installed {
    /// The inventory, for people who read the file.
    inventory: PathBuf,
    hosts: BTreeMap<String, BTreeMap<String, String>>,
}

impl Installed {
    /// Reads what is remembered of `inventory`; nothing when there is no file, or one that cannot be read.
    pub(super) fn of(inventory: &Path) -> Self {
        let Some((path, inventory)) = place(inventory) else { return Self::default() };
        let text = fs::read(path).ok();
        let known = text.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        Self { inventory, ..known.unwrap_or_default() }
    }

    /// Notes the nodes that something was done for, or that were found as wished.
    pub(super) fn add(&mut self, cluster: &Cluster, plan: &Plan, result: &RunResult) {
        for lane in plan.stages.iter().flat_map(|stage| &stage.lanes) {
            for step in &lane.steps {
                let done = matches!(result.outcomes.get(&step.id), Some(Outcome::Ok | Outcome::Changed(_)));
                let node = cluster.nodes().iter().find(|node| Some(&node.name) == step.node.as_ref());
                if let (true, Some(node)) = (done, node) {
                    let nodes = self.hosts.entry(lane.host.0.clone()).or_default();
                    nodes.insert(node.name.0.clone(), node.words());
                }
            }
        }
    }

    /// Forgets a host.
    pub(super) fn remove(&mut self, host: &str) {
        self.hosts.remove(host);
    }

    /// Writes it down; that it cannot be is told, and is no failure.
    pub(super) fn save(&self) {
        let written = || -> io::Result<()> {
            let Some((path, _)) = place(&self.inventory) else { return Ok(()) };
            state::make_private(path.parent().unwrap_or(Path::new("/")))?;
            state::replace(&path, &serde_json::to_vec_pretty(self)?)
        };
        if let Err(error) = written() {
            remark(&format!("warning: what is installed where cannot be noted on this machine: {error}\n"));
        }
    }

    /// Returns, for every host with nodes that the cluster does not have any more, what to say.
    pub(super) fn unwanted(&self, cluster: &Cluster) -> Vec<String> {
        let wanted: BTreeSet<(&str, &str)> =
            cluster.nodes().iter().map(|node| (node.host.as_str(), node.name.0.as_str())).collect();
        let mut found = Vec::new();
        for (host, nodes) in &self.hosts {
            let left: Vec<&str> = nodes
                .iter()
                .filter(|(name, _)| !wanted.contains(&(host.as_str(), name.as_str())))
                .map(|(_, words)| words.as_str())
                .collect();
            if !left.is_empty() {
                let inventory = self.inventory.display();
                found.push(format!(
                    "{} on {host}: installed by an earlier run and no longer in the inventory; what runs there goes on running. Put the \
                     lines back and run `apim-deploy remove {inventory} {host}`, which takes the host out of the cluster; if it is gone \
                     for good, `apim-deploy remove {inventory} {host} --gone`",
                    left.join(", ")
                ));
            }
        }
        found
    }
}

/// Says what is no longer wanted.
pub(super) fn tell(inventory: &Path, cluster: &Cluster, look: &Look) -> io::Result<()> {
    for text in Installed::of(inventory).unwanted(cluster) {
        if look.json {
            say(&json!({"event": "note", "level": "warning", "text": text}).to_string())?;
        } else {
            remark(&format!("{} {text}\n", look.err.change("warning:")));
        }
    }
    Ok(())
}

/// Returns where the memory of `inventory` is, and the inventory's whole path.
fn place(inventory: &Path) -> Option<(PathBuf, PathBuf)> {
    let inventory = fs::canonicalize(inventory).ok()?;
    let name = Sha256::of(inventory.as_os_str().as_encoded_bytes()).short();
    Some((state::of_user().join("installed").join(format!("{name}.json")), inventory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apim::testing::{HA, cluster};

    #[test]
    fn what_was_installed_and_is_no_longer_in_the_inventory_is_told_with_what_to_do() {
        let cluster = cluster(HA);
        let mut installed = Installed { inventory: "site.yaml".into(), ..Installed::default() };
        for node in cluster.nodes() {
            installed.hosts.entry(node.host.clone()).or_default().insert(node.name.0.clone(), node.words());
        }
        assert!(installed.unwanted(&cluster).is_empty());
        let left = BTreeMap::from([("gw-9".to_owned(), "gateway gw-9".to_owned())]);
        installed.hosts.insert("gw-9".to_owned(), left);
        let told = installed.unwanted(&cluster);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("gateway gw-9 on gw-9: ") && told[0].contains("remove site.yaml gw-9"));
        installed.remove("gw-9");
        assert!(installed.unwanted(&cluster).is_empty());
    }
}
