//! `apim_prune`: releases that are no longer needed.

use apim_protocol::operation::Operation;
use apim_protocol::operation::prune::Prune;

use super::Draft;
use crate::apim::topology::Node;

/// Nothing, unless the inventory says how many releases stay.
pub(super) fn lower(node: &Node) -> Vec<Draft> {
    let Some(keep) = node.settings.keep_releases else { return Vec::new() };
    let prune = Prune {
        folder: node.home.releases.clone(),
        keep,
        spare: vec![node.release.clone()],
        in_use: node.home.current.clone(),
        // Written until the release was stopped (below the release itself: releases do not share their logs).
        used: node.home.log.as_str().strip_prefix(&format!("{}/", node.home.release)).map(str::to_owned),
    };
    let title = format!("{}: old releases", node.words());
    vec![Draft::new(title, Operation::Prune(prune)).of(node)]
}
