//! Nodes installed by earlier runs, to detect orphaned nodes: removed from the inventory but still
//! running.
//!
//! One file per inventory in the user's state folder, with host and node names and no secrets. If
//! it cannot be written, only the warning about orphaned nodes is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use apim_protocol::outcome::Outcome;
use apim_protocol::value::Sha256;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::report::{Look, remark, say};
use apim_product::Cluster;
use apim_rollout::engine::RunResult;
use apim_rollout::plan::model::Plan;
use apim_rollout::state;

/// Installed nodes by host, with their display names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installed {
    /// Path of the inventory, for readers of the file.
    inventory: PathBuf,
    hosts: BTreeMap<String, BTreeMap<String, String>>,
}

impl Installed {
    /// Reads the installed nodes of `inventory`; empty if the file is missing or unreadable.
    pub(crate) fn of(inventory: &Path) -> Self {
        let Some((path, inventory)) = place(inventory) else { return Self::default() };
        let text = fs::read(path).ok();
        let known = text.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        Self { inventory, ..known.unwrap_or_default() }
    }

    /// Adds the nodes that were changed or found up to date.
    pub(crate) fn add(&mut self, cluster: &Cluster, plan: &Plan, result: &RunResult) {
        for lane in plan.lanes() {
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

    /// Removes a host.
    pub(crate) fn remove(&mut self, host: &str) {
        self.hosts.remove(host);
    }

    /// Writes the file; a failure is only a warning.
    pub(crate) fn save(&self) {
        let written = || -> io::Result<()> {
            let Some((path, _)) = place(&self.inventory) else { return Ok(()) };
            state::make_private(path.parent().unwrap_or(Path::new("/")))?;
            state::replace(&path, &serde_json::to_vec_pretty(self)?)
        };
        if let Err(error) = written() {
            remark(&format!("warning: cannot save the list of installed nodes: {error}\n"));
        }
    }

    /// Returns a warning for every host with orphaned nodes.
    pub(crate) fn orphaned(&self, cluster: &Cluster) -> Vec<String> {
        let known: BTreeSet<(&str, &str)> =
            cluster.nodes().iter().map(|node| (node.host.as_str(), node.name.0.as_str())).collect();
        let mut found = Vec::new();
        for (host, nodes) in &self.hosts {
            let left: Vec<&str> = nodes
                .iter()
                .filter(|(name, _)| !known.contains(&(host.as_str(), name.as_str())))
                .map(|(_, words)| words.as_str())
                .collect();
            if !left.is_empty() {
                let inventory = self.inventory.display();
                found.push(format!(
                    "{} on {host}: orphaned, installed by an earlier run and no longer in the inventory; it keeps running. \
                     Restore the lines and run `apim-deploy remove {inventory} {host}` to remove the host from the cluster; \
                     if the host no longer exists, run `apim-deploy remove {inventory} {host} --gone`",
                    left.join(", ")
                ));
            }
        }
        found
    }
}

/// Warns about orphaned nodes.
pub(crate) fn report(inventory: &Path, cluster: &Cluster, look: &Look) -> io::Result<()> {
    for text in Installed::of(inventory).orphaned(cluster) {
        if look.json {
            say(&json!({"event": "note", "level": "warning", "text": text}).to_string())?;
        } else {
            remark(&format!("{} {text}\n", look.err.change("warning:")));
        }
    }
    Ok(())
}

/// Returns the path of the file for `inventory`, and the canonical path of the inventory.
fn place(inventory: &Path) -> Option<(PathBuf, PathBuf)> {
    let inventory = fs::canonicalize(inventory).ok()?;
    let name = Sha256::of(inventory.as_os_str().as_encoded_bytes()).short();
    Some((state::of_user().join("installed").join(format!("{name}.json")), inventory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apim_product::testing::{HA, cluster};

    #[test]
    fn orphaned_nodes_are_reported_with_a_remedy() {
        let cluster = cluster(HA);
        let mut installed = Installed { inventory: "site.yaml".into(), ..Installed::default() };
        for node in cluster.nodes() {
            installed.hosts.entry(node.host.clone()).or_default().insert(node.name.0.clone(), node.words());
        }
        assert!(installed.orphaned(&cluster).is_empty());
        let left = BTreeMap::from([("gw-9".to_owned(), "gateway gw-9".to_owned())]);
        installed.hosts.insert("gw-9".to_owned(), left);
        let warnings = installed.orphaned(&cluster);
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].starts_with("gateway gw-9 on gw-9: ")
                && warnings[0].contains("remove site.yaml gw-9")
        );
        installed.remove("gw-9");
        assert!(installed.orphaned(&cluster).is_empty());
    }
}
