//! Wait until conditions hold, within a deadline; when they do not, say what was awaited, the last answer, and the first cause found.

use apim_protocol::operation::wait::{Condition, Wait};
use apim_protocol::outcome::{Difference, Failure, Outcome};

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::System;

mod cause;
pub(crate) mod examiner;
mod log_watch;
mod notes;
mod report;
mod service_watch;
#[cfg(test)]
mod tests;
mod watch;

/// Says which of the operation's regular expressions is not one.
fn require_patterns(wait: &Wait) -> Result<(), Failure> {
    let causes = wait.service.iter().flat_map(|service| &service.causes).map(|cause| cause.pattern.as_str());
    let remedy = wait.remedy.iter().filter_map(|remedy| remedy.when_logged.as_deref());
    let logged = wait.conditions.iter().flat_map(Condition::patterns);
    for pattern in causes.chain(remedy).chain(logged) {
        regex::Regex::new(pattern).map_err(|error| {
            Failure::from_error(
                format!("cannot wait for {}: invalid regular expression", wait.awaited),
                &error,
            )
        })?;
    }
    Ok(())
}

impl Converge for Wait {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        require_patterns(self)?;
        let unmet = watch::unmet(&mut examiner::Examiner::new(system), &self.conditions);
        if let Some((condition, answer)) = unmet {
            let what = format!("will wait for: {}: {} ({})", self.awaited, condition.words(), answer.text);
            return Ok(Finding::of([what]));
        }
        let unsettled = watch::unsettled(system, self)
            .map(|_| format!("will wait for: {}: to stay so for {} s", self.awaited, self.settle_secs));
        Ok(Finding::of(unsettled))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        _: &Difference,
    ) -> Result<Outcome, Failure> {
        require_patterns(self)?;
        watch::Watch::new(self, system)?.run(dialogue)
    }

    fn confirm(&self, system: &System) {
        notes::note_up(self, system);
    }
}
