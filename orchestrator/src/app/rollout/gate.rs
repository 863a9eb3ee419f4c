//! Phase `gate`: the checks between the survey of the hosts and the first change.

use apim_protocol::operation::Mode;

use super::context::Context;
use super::ready::Ready;
use crate::app::exit::Exit;
use crate::app::preflight_gate;
use crate::app::verb::PreflightGate;
use apim_rollout::engine::{Confirm, Preflight};

/// The checks between the survey of the hosts and the first change.
pub(crate) struct Gate {
    /// The preflight checks.
    pub(crate) preflight: Option<Preflight>,
    /// Whether the hosts are in the state of the saved plan.
    pub(crate) saved_plan: Option<Confirm>,
}

/// Returns the checks. The engine runs them after the survey.
pub(crate) fn gate(context: &Context<'_>, ready: &Ready) -> Result<Gate, Exit> {
    let request = context.request;
    let runs_preflight = match request.verb.policy().preflight_gate {
        PreflightGate::Never => false,
        PreflightGate::BeforeChanges => request.mode == Mode::Apply,
        PreflightGate::Always => true,
    };
    let preflight = runs_preflight
        .then(|| preflight_gate::judge(&ready.inputs.read.cluster, &ready.sizes, &context.cache));
    let confirm = ready.binding.as_ref().map(|binding| binding.confirm(&ready.plan, &request.reach));
    Ok(Gate { preflight, saved_plan: confirm.transpose()?.flatten() })
}
