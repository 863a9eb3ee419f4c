//! What became of an operation: its outcome, the difference it found, the failure it met.

use serde::{Deserialize, Serialize};

use crate::observation::Observation;

/// What one operation found or did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The host was as wished already.
    Ok,
    /// The host was looked at; nothing was wished for.
    Observed(Box<Observation>),
    /// Check mode only: this would be changed.
    WouldChange(Difference),
    /// This was changed.
    Changed(Difference),
    /// Not run, and why.
    Skipped(String),
    /// It did not work.
    Failed(Failure),
}

impl Outcome {
    /// Says whether the steps behind this one must not run.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// How the host differs from the wish; never holds a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Short statements, such as `mode 0644 -> 0600` or `restart: configuration changed`. At least one.
    pub items: Vec<String>,
    /// A unified diff of a text file, secrets masked, bounded in length.
    pub diff: Option<String>,
}

impl Difference {
    /// Returns a difference of one statement.
    #[must_use]
    pub fn one(item: impl Into<String>) -> Self {
        Self { items: vec![item.into()], diff: None }
    }
}

/// Why an operation did not work, for a person at three in the morning; never holds a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What was attempted and what went wrong, first cause first, as one sentence.
    pub what: String,
    /// The chain of causes below it.
    pub causes: Vec<String>,
    /// Last log lines of the service concerned, where there is one (bounded).
    pub log: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// Returns a failure that says `what`.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// Returns a failure that says `what`, with the error and its sources below it.
    #[must_use]
    pub fn from_error(what: impl Into<String>, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut causes = vec![error.to_string()];
        let mut next = error.source();
        while let Some(source) = next {
            causes.push(source.to_string());
            next = source.source();
        }
        Self { what: what.into(), causes, ..Self::default() }
    }

    /// Returns the failure with this hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
