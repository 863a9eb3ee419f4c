//! What all phases of a rollout share.

use super::request::RolloutRequest;
use crate::app::issue::Issue;
use crate::app::process;
use crate::report::Look;
use apim_rollout::artifact::Cache;

/// What all phases of a rollout share.
pub(crate) struct Context<'a> {
    pub(crate) request: &'a RolloutRequest,
    pub(crate) look: Look,
    pub(crate) cache: Cache,
    /// The run id.
    pub(crate) run: String,
}

impl<'a> Context<'a> {
    pub(crate) fn new(request: &'a RolloutRequest) -> Self {
        let look = request.shown.look_with_diff(request.diff);
        Self { request, look, cache: request.reach.cache(), run: process::run_id() }
    }

    /// Returns how due certificates are handled.
    pub(crate) fn due_certificates(&self) -> Issue {
        if self.request.needs_files() { Issue::Now } else { Issue::ReportOnly }
    }
}
