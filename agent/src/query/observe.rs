//! What every query does.

use apim_protocol::observation::Observation;
use apim_protocol::outcome::Failure;

use crate::operation::support::dialogue::Report;
use crate::system::System;

/// Observes a host. There is no way to change it from here: no mode, no `apply`, and nothing to request.
pub(super) trait Observe {
    /// Returns what was seen.
    fn observe(&self, system: &System, report: &mut dyn Report) -> Result<Observation, Failure>;
}
