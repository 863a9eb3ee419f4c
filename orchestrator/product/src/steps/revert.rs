//! Rolls back to a release that a node ran before, with its configuration: manually
//! (`apim_rollback`), and automatically for a node that does not become healthy with a new release.
//!
//! The host stores which release that is. Its log is found through the link `current`, which is
//! changed before the node starts.

use apim_protocol::operation::Operation;
use apim_protocol::operation::revert::{Proved, Revert};
use apim_protocol::operation::wait::Wait;

use super::{Draft, rotation};
use crate::cluster::Cluster;
use crate::task::Gate;
use crate::topology::Node;
use crate::{health, unit};

/// The title of the automatic rollback step, after the node's name.
pub const BACK: &str = "roll back to the previous release";

/// Returns the steps of `apim_rollback`: roll back, then check health.
pub(super) fn lower(cluster: &Cluster, node: &Node) -> Vec<Draft> {
    let back = revert(node, format!("{}: roll back", node.words()), None);
    let mut drafts = vec![back, proof(cluster, node, Gate::Started)];
    drafts.extend(rotation::returned(cluster, node));
    drafts.push(proof(cluster, node, Gate::Complete));
    drafts
}

/// Returns the steps for a node that was started from a new release and fails `gate`. A node that
/// started but is not complete rolls back only if its dependencies are reachable: otherwise the
/// release is not the cause. After the rollback it must become complete: otherwise the release was
/// not the cause either, and the next node is not rolled back.
pub(super) fn rescue(cluster: &Cluster, node: &Node, gate: Gate) -> Vec<Draft> {
    let back = |proved| revert(node, format!("{}: {BACK}", node.words()), Some(proved));
    match gate {
        Gate::Started => vec![back(Proved::Up), proof(cluster, node, Gate::Started)],
        Gate::Complete => {
            let around = Operation::Wait(Box::new(health::surroundings(cluster, node)));
            let title = format!("{}: dependencies reachable", node.words());
            vec![
                Draft::new(title, around).of(node),
                back(Proved::Settled),
                proof(cluster, node, Gate::Complete),
            ]
        }
    }
}

fn revert(node: &Node, title: String, unless: Option<Proved>) -> Draft {
    let operation = Revert {
        unit: node.unit.clone(),
        releases: node.home.releases.clone(),
        link: node.home.current.clone(),
        to: None,
        unless,
        process: unit::process(node),
        stop_timeout_secs: node.role.stop_timeout_secs(),
        ask: true,
    };
    let mut draft = Draft::new(title, Operation::Revert(Box::new(operation))).of(node);
    draft.budget = Some(node.role.group().to_owned());
    draft
}

fn proof(cluster: &Cluster, node: &Node, gate: Gate) -> Draft {
    let mut previous = node.clone();
    previous.home.log = previous.home.current_log.clone();
    let wait: Wait = health::wait(cluster, &previous, gate);
    let word = match gate {
        Gate::Started => "started",
        Gate::Complete => "complete",
    };
    let title = format!("{}: {word} with that release", node.words());
    let mut draft = Draft::new(title, Operation::Wait(Box::new(wait))).of(node);
    draft.budget = Some(node.role.group().to_owned());
    draft.proves_health = true;
    draft
}
