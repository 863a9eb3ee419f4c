//! `apim_service`: starts, stops, restarts or only installs the unit of a node.

use std::sync::Arc;

use apim_protocol::operation::Operation;
use apim_protocol::operation::unit::Release;
use apim_protocol::operation::unit::{Ready, State, Unit};
use apim_protocol::value::{AbsPath, Content};

use super::Draft;
use crate::cluster::Cluster;
use crate::settings::secrets::SecretsMode;
use crate::task::ServiceState;
use crate::topology::Node;
use crate::unit;
use crate::{health, home};

/// Maximum size of the local state of a node, a safety limit: except for the search index it is
/// small.
const MAX_STATE_BYTES: u64 = 64 * 1024 * 1024 * 1024;

pub(super) fn lower(cluster: &Cluster, node: &Node, state: ServiceState) -> Vec<Draft> {
    let words = node.words();
    match state {
        ServiceState::Started => {
            vec![draft(cluster, node, State::Started, format!("{words}: running"))]
        }
        ServiceState::Stopped => vec![draft(cluster, node, State::Stopped, format!("{words}: stopped"))],
        // Stopped and started are two states that can be checked; "restarted" is not a state.
        ServiceState::Restarted => vec![
            draft(cluster, node, State::Stopped, format!("{words}: stopped (before restart)")),
            draft(cluster, node, State::Started, format!("{words}: running")),
        ],
        ServiceState::Installed => {
            vec![draft(cluster, node, State::Unchanged, format!("{words}: unit {}", node.unit))]
        }
    }
}

/// Returns the draft that removes the unit from its host.
pub(super) fn gone(cluster: &Cluster, node: &Node) -> Draft {
    draft(cluster, node, State::Gone, format!("{}: remove unit {}", node.words(), node.unit))
}

fn draft(cluster: &Cluster, node: &Node, state: State, title: String) -> Draft {
    let text: Arc<[u8]> = unit::text(node).into_bytes().into();
    let (is_stop, is_gone) = (state == State::Stopped, state == State::Gone);
    let operation = Unit {
        name: node.unit.clone(),
        // A stop does not change the definition of the unit.
        file: (!is_stop).then(|| Content::of(&text)),
        enabled: (!is_stop).then_some(!is_gone),
        state,
        inputs: if is_stop { std::collections::BTreeMap::new() } else { unit::inputs(cluster, node) },
        watch: watched(node),
        log: Some(node.home.log.clone()),
        ready: (state == State::Started).then(|| Ready {
            pattern: health::STARTED.to_owned(),
            within_secs: node.settings.health.started_secs,
        }),
        process: unit::process(node),
        stop_timeout_secs: node.stop_secs(),
        ask: true,
        script: Some(unit::script(node)),
        release: (!is_stop).then(|| release(node)),
    };
    let mut draft = Draft::new(title, Operation::Unit(Box::new(operation))).of(node);
    draft.budget = Some(node.role.group().to_owned());
    if !is_stop && !is_gone {
        draft.contents.push(text);
    }
    draft
}

/// Returns the files that the service reads when it starts.
fn watched(node: &Node) -> Vec<AbsPath> {
    match node.settings.secrets {
        SecretsMode::Environment => vec![node.home.deployment_toml.clone(), node.home.variables.clone()],
        SecretsMode::Plain | SecretsMode::Cipher => vec![node.home.deployment_toml.clone()],
    }
}

/// Returns the release. The unit runs from the folder of the release, so that a change of the link
/// does not affect a running server. The link shows operators and `status` which release is in use.
fn release(node: &Node) -> Release {
    Release {
        folder: node.home.release.clone(),
        link: node.home.current.clone(),
        keeps: home::STATE.iter().map(|path| (*path).to_owned()).collect(),
        max_bytes: MAX_STATE_BYTES,
    }
}
