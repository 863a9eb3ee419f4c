//! All files that apim-deploy writes to a node's host, as bytes, for `render` and for the steps.

use std::sync::Arc;

use apim_protocol::operation::file::Show;
use apim_protocol::value::{AbsPath, FileMode, Owner};

use super::cluster::Cluster;
use super::config;
use super::hardening;
use super::hosts_file;
use super::sealing;
use super::topology::{KeystoreFile, Node};
use super::unit;

pub use super::placed_file::{PlacedFile, owner};

/// Returns every file for `node`: its configuration, the user's keystores, its unit, and the block
/// in `/etc/hosts`.
#[must_use]
pub fn files(cluster: &Cluster, node: &Node) -> Vec<PlacedFile> {
    let mut files = vec![configuration(cluster, node)];
    files.extend(sealing::files(cluster, node));
    // Keystores that are not issued yet have no bytes.
    files.extend(placed(node.keystores.iter().filter(|file| file.opened.is_some()), node));
    files.extend(unit_file(node));
    files.extend(hardening::sysctl_file(cluster, &node.host));
    files.extend(hardening::limits_file(node));
    if node.settings.hosts_file.enabled
        && let Ok(path) = AbsPath::parse("/etc/hosts")
    {
        files.push(PlacedFile {
            path,
            bytes: hosts_file::block(cluster).into_bytes().into(),
            mode: FileMode::new(0o644),
            owner: Owner::default(),
            show: Show::Text,
            is_block: true,
        });
    }
    files
}

/// Returns `deployment.toml`.
#[must_use]
pub fn configuration(cluster: &Cluster, node: &Node) -> PlacedFile {
    let rendered = config::render(cluster, node);
    PlacedFile {
        path: node.home.deployment_toml.clone(),
        bytes: rendered.text.into_bytes().into(),
        mode: FileMode::new(0o600),
        owner: owner(node),
        show: Show::Masked(rendered.secrets),
        is_block: false,
    }
}

/// Returns the keystores to write.
#[must_use]
pub fn keystores(node: &Node) -> Vec<PlacedFile> {
    placed(node.keystores.iter(), node).collect()
}

fn placed<'a>(
    files: impl Iterator<Item = &'a KeystoreFile>,
    node: &'a Node,
) -> impl Iterator<Item = PlacedFile> {
    files.map(|store| PlacedFile {
        path: store.path.clone(),
        bytes: Arc::clone(&store.bytes),
        mode: FileMode::new(0o600),
        owner: owner(node),
        show: Show::Nothing,
        is_block: false,
    })
}

fn unit_file(node: &Node) -> Option<PlacedFile> {
    let path = AbsPath::parse(&format!("/etc/systemd/system/{}.service", node.unit)).ok()?;
    Some(PlacedFile {
        path,
        bytes: unit::text(node).into_bytes().into(),
        mode: FileMode::new(0o644),
        owner: Owner { user: Some("root".to_owned()), group: Some("root".to_owned()) },
        show: Show::Text,
        is_block: false,
    })
}
