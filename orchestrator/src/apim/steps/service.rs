//! `apim_service`: the unit of a node, started, stopped, restarted or just installed.

use std::sync::Arc;

use apim_protocol::operation::Operation;
use apim_protocol::operation::unit::Release;
use apim_protocol::operation::unit::{Ready, State, Unit};
use apim_protocol::value::{AbsPath, Content};

use super::Draft;
use crate::apim::cluster::Cluster;
use crate::apim::settings::secrets::SecretsMode;
use crate::apim::task::ServiceState;
use crate::apim::topology::Node;
use crate::apim::unit;
use crate::apim::{health, home};

/// What a node keeps besides its databases is small, but for the search index: this is a cap against mistakes, not a measure.
const MAX_STATE_BYTES: u64 = 64 * 1024 * 1024 * 1024;

pub(super) fn lower(cluster: &Cluster, node: &Node, state: ServiceState) -> Vec<Draft> {
    let words = node.words();
    match state {
        ServiceState::Started => {
            vec![draft(cluster, node, State::Started, format!("{words}: running"))]
        }
        ServiceState::Stopped => vec![draft(cluster, node, State::Stopped, format!("{words}: stopped"))],
        // Stopped and started are two wishes, each of which can be checked; "restarted" is none.
        ServiceState::Restarted => vec![
            draft(cluster, node, State::Stopped, format!("{words}: stopped, to be started anew")),
            draft(cluster, node, State::Started, format!("{words}: running")),
        ],
        ServiceState::Installed => {
            vec![draft(cluster, node, State::Unchanged, format!("{words}: unit {}", node.unit))]
        }
    }
}

/// Returns the draft after which the unit is gone from its host.
pub(super) fn gone(cluster: &Cluster, node: &Node) -> Draft {
    draft(cluster, node, State::Gone, format!("{}: no unit {}", node.words(), node.unit))
}

fn draft(cluster: &Cluster, node: &Node, state: State, title: String) -> Draft {
    let text: Arc<[u8]> = unit::text(node).into_bytes().into();
    let (is_stop, is_gone) = (state == State::Stopped, state == State::Gone);
    let operation = Unit {
        name: node.unit.clone(),
        // To stop a node says nothing about how it should run.
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

/// What the service reads when it starts.
fn watched(node: &Node) -> Vec<AbsPath> {
    match node.settings.secrets {
        SecretsMode::Environment => vec![node.home.deployment_toml.clone(), node.home.variables.clone()],
        SecretsMode::Plain | SecretsMode::Cipher => vec![node.home.deployment_toml.clone()],
    }
}

/// The unit runs from the release itself, so that a running server never finds another release below its feet; the link tells people (and
/// `status`) which one is in use.
fn release(node: &Node) -> Release {
    Release {
        folder: node.home.release.clone(),
        link: node.home.current.clone(),
        keeps: home::STATE.iter().map(|path| (*path).to_owned()).collect(),
        max_bytes: MAX_STATE_BYTES,
    }
}
