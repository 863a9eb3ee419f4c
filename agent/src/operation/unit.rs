//! A service: its systemd unit file, enabled or not, running or not, restarted when its inputs are not those it was last started with.
//!
//! On a host without systemd (or below `--root`) the service's own start script is used.
//! What a unit was last started with is kept in the state folder, so a restart that is due survives a crash of anything.

use apim_protocol::operation::unit::Unit;
use apim_protocol::outcome::{Change, Difference, Failure, Outcome};

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::System;

mod assess;
mod change;
pub(crate) mod reading;
pub(crate) mod record;
pub(crate) mod release;
pub(crate) mod releases;
mod script;
pub(crate) mod supervisor;
pub(crate) mod systemd;
#[cfg(test)]
pub(crate) mod tests;

impl Converge for Unit {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let changes = assess::assess(self, system)?.changes();
        Ok(Finding::of(changes))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        _: &Difference,
    ) -> Result<Outcome, Failure> {
        let assessment = assess::assess(self, system)?;
        let mut changes = assessment.changes();
        if changes.is_empty() {
            return Ok(Outcome::Ok);
        }
        let notes = change::bring_about(self, system, dialogue, assessment)?;
        changes.extend(notes.into_iter().map(Change::Text));
        Ok(Outcome::Changed(Difference { changes, diff: None }))
    }
}
