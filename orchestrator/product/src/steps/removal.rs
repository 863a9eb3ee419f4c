//! Removes a host from the cluster: stops its nodes and deletes what apim-deploy installed for
//! them. Other files are kept.

use apim_protocol::operation::Operation;
use apim_protocol::operation::absent::Absent;
use apim_protocol::operation::block::Block;
use apim_protocol::operation::remove_account::RemoveAccount;
use apim_protocol::operation::uninstall_releases::UninstallReleases;
use apim_protocol::value::AbsPath;

use super::{Draft, service};
use crate::cluster::Cluster;
use crate::settings::source::Java;
use crate::task::ServiceState;
use crate::topology::Node;
use crate::{hardening, hosts_file};

/// Returns the steps that remove everything that apim-deploy manages on `host`; empty for a host
/// without nodes.
#[must_use]
pub fn removal(cluster: &Cluster, host: &str) -> Vec<Draft> {
    let nodes: Vec<&Node> = cluster.nodes_on(host).collect();
    let Some(first) = nodes.first() else { return Vec::new() };
    let mut drafts = Vec::new();
    for node in &nodes {
        drafts.extend(service::lower(cluster, node, ServiceState::Stopped));
        drafts.push(service::gone(cluster, node));
        drafts.extend(unmarked(cluster, node));
        drafts.push(releases(node));
    }
    drafts.extend(shared(first));
    drafts.extend(names(first));
    drafts.extend(tuning());
    drafts.push(account(first, &nodes));
    drafts
}

/// Clears the drain marker of hooks: a removed node is not undrained.
fn unmarked(cluster: &Cluster, node: &Node) -> Option<Draft> {
    let hooks = cluster.hooks(&node.name)?;
    let title = format!("{}: clear drain marker", node.words());
    Some(Draft::new(title, hooks.unmarked()).of(node))
}

fn releases(node: &Node) -> Draft {
    let home = &node.home;
    let vacate = UninstallReleases {
        folder: home.releases.clone(),
        ours: vec![home.current.clone(), home.variables.clone(), home.seal.clone()],
        emptied: vec![home.releases.clone(), home.component.clone()],
    };
    Draft::new(format!("{}: remove {}", node.words(), home.component), Operation::UninstallReleases(vacate))
        .of(node)
}

/// Removes the installed JDKs, and the parent folder once it is empty.
fn shared(node: &Node) -> Option<Draft> {
    let top = AbsPath::parse(&node.settings.install_dir).ok()?;
    let folder = match &node.settings.java {
        Some(Java::Archive(_)) => node.java_home.parent(),
        None | Some(Java::Home(_)) => top.join("java").ok()?,
    };
    let vacate = UninstallReleases { emptied: vec![folder.clone(), top.clone()], folder, ours: Vec::new() };
    Some(Draft::new(format!("remove {top}, if empty"), Operation::UninstallReleases(vacate)))
}

fn names(node: &Node) -> Option<Draft> {
    if !node.settings.hosts_file.enabled {
        return None;
    }
    let block = Block {
        path: AbsPath::parse("/etc/hosts").ok()?,
        marker: hosts_file::MARKER.to_owned(),
        lines: Vec::new(),
        create: true,
    };
    Some(Draft::new("remove names of the cluster from /etc/hosts", Operation::Block(block)))
}

/// Removes the files of hardening, whose names are unique to apim-deploy. The kernel keeps the
/// values until it reboots.
fn tuning() -> impl Iterator<Item = Draft> {
    [("remove kernel settings", hardening::SYSCTL_FILE), ("remove account limits", hardening::LIMITS_FILE)]
        .into_iter()
        .filter_map(|(title, path)| {
            let path = AbsPath::parse(path).ok()?;
            Some(Draft::new(title, Operation::Absent(Absent { path, recursive: false })))
        })
}

fn account(first: &Node, nodes: &[&Node]) -> Draft {
    let (user, group) = (first.settings.user.clone(), first.settings.group.clone());
    let title = format!("remove account {user}, if created for the nodes");
    let needed_by = nodes.iter().map(|node| node.home.component.clone()).collect();
    Draft::new(title, Operation::RemoveAccount(RemoveAccount { user, group, needed_by }))
}
