//! What every operation does: check the host, and change what differs.

use apim_protocol::outcome::{Change, Difference, Failure, Outcome};

use super::support::dialogue::Dialogue;
use crate::system::System;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The host matches.
    UpToDate,
    /// This has to change.
    Differs(Difference),
    /// The operation means nothing on this host, and why.
    NotApplicable(String),
}

impl Finding {
    /// Returns the finding for these changes: up to date when there is none.
    #[must_use]
    pub fn of<C: Into<Change>>(changes: impl IntoIterator<Item = C>) -> Self {
        let difference = Difference::of(changes);
        if difference.changes.is_empty() { Self::UpToDate } else { Self::Differs(difference) }
    }

    /// Returns what has to change, if anything has.
    #[must_use]
    pub fn difference(self) -> Option<Difference> {
        match self {
            Self::Differs(difference) => Some(difference),
            Self::UpToDate | Self::NotApplicable(_) => None,
        }
    }
}

impl From<Option<Difference>> for Finding {
    fn from(difference: Option<Difference>) -> Self {
        difference.map_or(Self::UpToDate, Self::Differs)
    }
}

/// The behaviour of an operation.
pub trait Converge {
    /// Compares the host with the operation; changes nothing.
    ///
    /// # Errors
    /// When the host cannot be read, or something else is in the way.
    fn check(&self, system: &System) -> Result<Finding, Failure>;

    /// Changes what differs; returns what was done (more may be known than `check` knew).
    ///
    /// # Errors
    /// When it does not work. The host is then unchanged, or as the failure says.
    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure>;

    /// In apply mode, when the host is up to date: records what later runs need to know.
    fn confirm(&self, system: &System) {
        let _ = system;
    }

    /// In check mode, when the host differs: returns what to report. Adds what is too expensive for `check`, such as a diff that
    /// needs the new content. Changes nothing but the agent's own spool.
    fn preview(&self, system: &System, dialogue: &mut dyn Dialogue, difference: Difference) -> Outcome {
        let _ = (system, dialogue);
        Outcome::WouldChange(difference)
    }
}
