//! What became of an operation: its outcome, the difference it found, the failure it met.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::observation::Observation;
use crate::value::is_release_name;

/// What one operation found or did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The host was already up to date.
    Ok,
    /// The host was observed.
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

/// How the host differs from the desired state; never contains a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// At least one.
    pub changes: Vec<Change>,
    /// A unified diff of a text file, secrets masked, bounded in length.
    pub diff: Option<String>,
}

impl Difference {
    /// Returns a difference of one change.
    #[must_use]
    pub fn one(change: impl Into<Change>) -> Self {
        Self::of([change])
    }

    /// Returns a difference of these changes.
    #[must_use]
    pub fn of<C: Into<Change>>(changes: impl IntoIterator<Item = C>) -> Self {
        Self { changes: changes.into_iter().map(Into::into).collect(), diff: None }
    }

    /// Returns the short statements that people read: one per change, and one per reason of a restart.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        self.changes.iter().flat_map(Change::statements).collect()
    }

    /// Returns the change of the release that the service runs from. What a host reports is ignored where it names no release.
    #[must_use]
    pub fn release(&self) -> Option<&ReleaseChange> {
        self.changes.iter().find_map(|change| match change {
            Change::Release(release) if release.is_valid() => Some(release),
            _ => None,
        })
    }

    /// Returns the reasons of a restart; empty where nothing is restarted.
    pub fn restart_reasons(&self) -> impl Iterator<Item = &str> {
        self.changes
            .iter()
            .flat_map(|change| match change {
                Change::Restart { reasons } => reasons.as_slice(),
                _ => &[],
            })
            .map(String::as_str)
    }
}

/// One change of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A service runs from another release.
    Release(ReleaseChange),
    /// A service is restarted.
    Restart {
        /// Why, such as `configuration changed`; at least one.
        reasons: Vec<String>,
    },
    /// The content of a file.
    Content {
        /// Its present size in bytes.
        from: u64,
        /// Its new size in bytes.
        to: u64,
    },
    /// Anything else, such as `mode 0644 -> 0600`.
    Text(String),
}

impl Change {
    /// Returns the short statements that people read: one, or one per reason of a restart.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        match self {
            Self::Restart { reasons } => reasons.iter().map(|reason| format!("restart: {reason}")).collect(),
            Self::Release(_) | Self::Content { .. } | Self::Text(_) => vec![self.to_string()],
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(release) => release.fmt(f),
            Self::Restart { .. } => f.write_str(&self.statements().join("; ")),
            Self::Content { from, to } => write!(f, "content ({from} bytes -> {to})"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<String> for Change {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Change {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<ReleaseChange> for Change {
    fn from(release: ReleaseChange) -> Self {
        Self::Release(release)
    }
}

/// A service goes from one release to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseChange {
    /// The name of the release in use.
    pub from: String,
    /// The name of the other one.
    pub to: String,
}

impl ReleaseChange {
    /// Says whether both are names of releases.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        is_release_name(&self.from) && is_release_name(&self.to)
    }
}

impl fmt::Display for ReleaseChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "release {} -> {}", self.from, self.to)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn release(from: &str, to: &str) -> ReleaseChange {
        ReleaseChange { from: from.into(), to: to.into() }
    }

    #[test]
    fn changes_keep_their_words() {
        let reasons = vec!["configuration changed".to_owned(), "it was edited".to_owned()];
        let changes = vec![
            Change::Release(release("4.5.0-0a1b", "4.6.0-9f")),
            Change::Restart { reasons },
            Change::Content { from: 1, to: 2 },
            "mode 0644 -> 0600".into(),
        ];
        let difference = Difference { changes, diff: None };
        let words = [
            "release 4.5.0-0a1b -> 4.6.0-9f",
            "restart: configuration changed",
            "restart: it was edited",
            "content (1 bytes -> 2)",
            "mode 0644 -> 0600",
        ];
        assert_eq!(difference.statements(), words);
        let joined: Vec<String> = difference.changes.iter().map(ToString::to_string).collect();
        assert_eq!(joined.join("; "), words.join("; "));
        assert_eq!(difference.restart_reasons().count(), 2);
    }

    #[test]
    fn release_change_needs_valid_names() {
        let found = |from, to| Difference::one(release(from, to)).release().cloned();
        assert_eq!(found("4.5.0-0a1b", "4.6.0-9f"), Some(release("4.5.0-0a1b", "4.6.0-9f")));
        for (from, to) in [("../x", "4.6.0"), ("a", "b/c"), ("a", ""), (".a", "b")] {
            assert_eq!(found(from, to), None, "{from} {to}");
        }
        assert_eq!(Difference::one("release 4.5.0 -> 4.6.0").release(), None, "text is never parsed");
    }
}
