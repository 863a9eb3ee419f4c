//! `restart`, `stop`, `start`, `drain` and `undrain`: the day-to-day node operations.

use apim_protocol::operation::Mode;

use crate::app::exit::{Exit, Kind};
use crate::app::options::ProbeOptions;
use crate::app::rollout;
use crate::app::rollout::request::{Common, Pace, RolloutRequest, RotationChange, Scope};
use crate::app::verb::Verb;
use crate::report;
use apim_product::Role;
use apim_product::load_balancer::RotationState;

/// Nodes to restart, stop or start.
pub(crate) struct NodeRequest {
    pub(crate) common: Common,
    /// Limit to nodes of these roles; empty selects all.
    pub(crate) roles: Vec<Role>,
    /// Show what would be done; change nothing.
    pub(crate) check: bool,
    pub(crate) probe: ProbeOptions,
}

/// Nodes to drain or undrain.
pub(crate) struct RotationRequest {
    pub(crate) common: Common,
    /// Hosts of the nodes, as an Ansible pattern.
    pub(crate) pattern: String,
    /// Show what would be done; change nothing.
    pub(crate) check: bool,
    pub(crate) probe: ProbeOptions,
}

/// Takes nodes out of rotation until `undrain` or the next apply.
pub(crate) fn drain(request: RotationRequest) -> Result<Kind, Exit> {
    change_rotation(Verb::Drain, request, RotationState::Drained)
}

/// Puts nodes back in rotation.
pub(crate) fn undrain(request: RotationRequest) -> Result<Kind, Exit> {
    change_rotation(Verb::Undrain, request, RotationState::InRotation)
}

/// Restarts nodes.
pub(crate) fn restart(nodes: NodeRequest, pace: Pace) -> Result<Kind, Exit> {
    let NodeRequest { common, roles, check, probe } = nodes;
    let scope = Scope { roles, pace, ..Scope::default() };
    let request = RolloutRequest::check(Verb::Restart, common).with_playbook("rolling-restart");
    carry_out(RolloutRequest { scope, probe, ..request }, check)
}

/// Stops nodes until they are started again.
pub(crate) fn stop(nodes: NodeRequest) -> Result<Kind, Exit> {
    let NodeRequest { common, roles, check, probe } = nodes;
    let scope = Scope { roles, pace: Pace::StopOnly, ..Scope::default() };
    let request = RolloutRequest::check(Verb::Stop, common).with_playbook("stop");
    carry_out(RolloutRequest { scope, probe, ..request }, check)
}

/// Starts stopped nodes in the start order of the inventory.
pub(crate) fn start(nodes: NodeRequest) -> Result<Kind, Exit> {
    let NodeRequest { common, roles, check, probe } = nodes;
    let scope = Scope { roles, ..Scope::default() };
    let mut request = RolloutRequest::check(Verb::Start, common);
    request.plays.tags = vec!["start".to_owned()];
    carry_out(RolloutRequest { scope, probe, ..request }, check)
}

fn change_rotation(verb: Verb, nodes: RotationRequest, flow: RotationState) -> Result<Kind, Exit> {
    let RotationRequest { common, pattern, check, probe } = nodes;
    let scope = Scope { rotation: Some(RotationChange { pattern, flow }), ..Scope::default() };
    carry_out(RolloutRequest { scope, probe, ..RolloutRequest::check(verb, common) }, check)
}

fn carry_out(mut request: RolloutRequest, check: bool) -> Result<Kind, Exit> {
    request.mode = if check { Mode::Check } else { Mode::Apply };
    let finished = rollout::run(&request)?;
    let look = finished.look;
    if check && !look.json {
        let detail = report::changes::Detail { diff: false, all: look.verbosity > 0 };
        report::say(&report::changes::text(&finished.plan, &finished.result, detail, look.out))?;
    }
    finished.conclude()
}
