//! Back to a release that a node ran before, with the configuration that it had then: by hand (`apim_rollback`), and for a node that does
//! not become healthy from a new release.
//!
//! Which release that is, is kept on the host. Its log is found through `current`, which is turned before the node starts.

use apim_protocol::operation::Operation;
use apim_protocol::operation::revert::{Proved, Revert};
use apim_protocol::operation::wait::Wait;

use super::{Draft, rotation};
use crate::apim::cluster::Cluster;
use crate::apim::task::Gate;
use crate::apim::topology::Node;
use crate::apim::{health, unit};

/// The title of the step that goes back by itself, behind the node's words.
pub const BACK: &str = "back to the release before";

/// `apim_rollback`: back, and healthy there.
pub(super) fn lower(cluster: &Cluster, node: &Node) -> Vec<Draft> {
    let back = revert(node, format!("{}: rolled back", node.words()), None);
    let mut drafts = vec![back, proof(cluster, node, Gate::Started)];
    drafts.extend(rotation::returned(cluster, node));
    drafts.push(proof(cluster, node, Gate::Complete));
    drafts
}

/// Returns what is done for a node that was started from a new release and does not pass `gate`. One that started, and is not complete, goes
/// back only where those that it needs can be reached: else it is not its release that is at fault. And it must be complete there, or it
/// was not its release either, and the next one stays.
pub(super) fn rescue(cluster: &Cluster, node: &Node, gate: Gate) -> Vec<Draft> {
    let back = |proved| revert(node, format!("{}: {BACK}", node.words()), Some(proved));
    match gate {
        Gate::Started => vec![back(Proved::Up), proof(cluster, node, Gate::Started)],
        Gate::Complete => {
            let around = Operation::Wait(Box::new(health::surroundings(cluster, node)));
            let title = format!("{}: those that it needs can be reached", node.words());
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
    let mut there = node.clone();
    there.home.log = there.home.current_log.clone();
    let wait: Wait = health::wait(cluster, &there, gate);
    let word = match gate {
        Gate::Started => "started",
        Gate::Complete => "complete",
    };
    let title = format!("{}: {word} from that release", node.words());
    let mut draft = Draft::new(title, Operation::Wait(Box::new(wait))).of(node);
    draft.budget = Some(node.role.group().to_owned());
    draft.proves_health = true;
    draft
}
