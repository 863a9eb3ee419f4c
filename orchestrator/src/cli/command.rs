//! The interface of a verb.

use crate::app::exit::{Exit, Kind};

/// The parsed flags of a verb. An implementation builds a plain request and calls its use case.
pub(super) trait Command {
    /// Returns whether the output format is JSON.
    fn is_json(&self) -> bool;

    /// Runs the verb.
    fn run(self: Box<Self>) -> Result<Kind, Exit>;
}
