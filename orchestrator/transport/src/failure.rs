//! The one conversion of this crate's errors into `Failure`, the type of events and reports.

use std::error::Error;

use apim_protocol::outcome::Failure;

/// Returns the failure of `error`: its message, the chain of its sources, and `hint`.
pub(crate) fn from_error(error: &(dyn Error + 'static), hint: Option<String>) -> Failure {
    let failure = match error.source() {
        Some(source) => Failure::from_error(error.to_string(), source),
        None => Failure::new(error.to_string()),
    };
    Failure { hint, ..failure }
}

/// Returns what failed and its causes on one line.
#[must_use]
pub fn one_line(failure: &Failure) -> String {
    let causes = failure.causes.iter().map(String::as_str);
    std::iter::once(failure.what.as_str()).chain(causes).collect::<Vec<_>>().join(": ")
}
