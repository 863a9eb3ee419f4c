//! `deployment.toml` of a node: one file per section, put together in reading order, the user's keys merged last.
//!
//! The product reads unknown keys without a word, so what stands here is checked against the documentation's samples by tests.

use std::collections::BTreeMap;

use apim_protocol::value::{Secret, Sha256};

use super::cluster::Cluster;
use super::topology::Node;
use crate::yaml::{Mistakes, Span};

mod databases;
mod event_hub;
mod features;
mod gateway;
mod hardening;
mod keystores;
mod meaning;
mod portal;
mod raw;
mod secrets;
mod server;
mod throttling;
mod toml;
mod tree;
mod users;

#[cfg(test)]
mod tests;

pub use secrets::Extracted;
use tree::Table;

/// A rendered `deployment.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Every secret in it, in the form in which it is written and in its own.
    pub secrets: Vec<Secret>,
    /// What stands in `text` by reference only.
    pub extracted: Extracted,
    /// A digest of what it says; comments, order and form do not matter.
    pub digest: Sha256,
    /// A digest of each of its keys, by words for people; one of all secrets together.
    pub keys: BTreeMap<String, String>,
    /// Derived keys that the user's `config:` gave another value.
    pub overridden: Vec<Override>,
    /// Keys of `config:` that are no table where the product has one, or the other way round; they are left out.
    pub clashes: Mistakes,
}

/// A derived key that `config:` gives another value.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// The key.
    pub key: String,
    /// Our value, as people may see it.
    pub ours: String,
    /// The value it gets.
    pub theirs: String,
    /// Where `config:` says so.
    pub span: Span,
}

/// Where a section looks things up.
struct Scene<'a> {
    cluster: &'a Cluster,
    node: &'a Node,
}

/// Renders the configuration of `node`.
#[must_use]
pub fn render(cluster: &Cluster, node: &Node) -> Rendered {
    let scene = Scene { cluster, node };
    let mut root = Table::about(format!("deployment.toml of {}, API Manager {}.", node.words(), node.version))
        .also("Written by apim-deploy from the inventory; the next apply puts edits right. Own keys: `apim: {config: …}`.");
    for section in [
        server::section,
        users::section,
        databases::section,
        keystores::section,
        users::events,
        portal::section,
        features::section,
        gateway::section,
        event_hub::section,
        event_hub::key_manager,
        throttling::section,
        hardening::section,
    ] {
        section(&scene, &mut root);
    }
    let mut merged = raw::Merged::default();
    let derived = root.clone();
    for config in [&node.settings.config, &node.own.config].into_iter().flatten() {
        raw::merge(&mut root, Some(&derived), config, "", &mut merged);
    }
    let mut secrets: Vec<Secret> = Vec::new();
    let mut note = |secret: &Secret| {
        if !secret.expose().is_empty() && !secrets.contains(secret) {
            secrets.push(secret.clone());
        }
    };
    root.secrets(&mut note);
    for database in node.settings.databases.iter().flat_map(|d| [&d.apim_db, &d.shared_db]) {
        note(&database.password);
    }
    let (digest, keys) = (meaning::digest(&root), meaning::keys(&root));
    let extracted = secrets::take_out(&mut root, node.settings.secrets, node.version.series());
    Rendered {
        text: toml::write(&root),
        secrets,
        extracted,
        digest,
        keys,
        overridden: merged.overridden,
        clashes: merged.clashes,
    }
}
