//! Items of the checklist, their findings, and the rows of the tables of checks.

use apim_protocol::observation::Answer;
use apim_protocol::outcome::Failure;

use crate::cluster::Cluster;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// The check does not apply here.
    NotApplicable,
    /// The check passed.
    Holds,
    /// The result is unknown.
    Unknown,
    /// The check failed.
    Broken,
}

impl State {
    /// Returns the words for tables.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotApplicable => "n/a",
            Self::Holds => "ok",
            Self::Unknown => "unknown",
            Self::Broken => "failed",
        }
    }
}

/// The finding on one host or in the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The host; `None` for the inventory.
    pub host: Option<String>,
    /// The result there.
    pub state: State,
    /// The file, value or process that shows it.
    pub found: String,
}

/// An item of the checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name in JSON output.
    pub name: &'static str,
    /// The requirement.
    pub what: &'static str,
    /// Whether the audit fails if the requirement is not met.
    pub required: bool,
    /// The findings.
    pub evidence: Vec<Evidence>,
    /// How to fix it.
    pub remedy: &'static str,
    /// The page of the product's documentation that requires it.
    pub source: &'static str,
}

impl Item {
    /// Returns the worst state of all findings.
    #[must_use]
    pub fn state(&self) -> State {
        self.evidence.iter().map(|one| one.state).max().unwrap_or(State::NotApplicable)
    }

    /// Returns whether this item fails the audit.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.required && self.state() == State::Broken
    }
}

/// Documentation pages.
pub(super) const DEPLOYMENT: &str = "Production deployment guidelines";
pub(super) const SECURITY: &str = "Security guidelines for production deployment";
pub(super) const TUNING: &str = "Performance tuning and testing results";

/// A host's answers, or why there are none.
#[derive(Debug)]
pub struct HostAnswers<'a> {
    /// The host.
    pub host: &'a str,
    /// Its answers to [`super::examine`]'s questions.
    pub answers: Result<&'a [Answer], Failure>,
}

/// When a check is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Required {
    /// Always.
    Yes,
    /// With `hardening: production`.
    InProduction,
    /// Never: a recommendation.
    No,
}

/// A row of a table of checks. `judge` returns the findings.
pub(super) struct Check<J> {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) required: Required,
    pub(super) judge: J,
    pub(super) remedy: &'static str,
    pub(super) source: &'static str,
}

impl<J> Check<J> {
    /// Returns the item with these findings.
    pub(super) fn item(&self, cluster: &Cluster, evidence: Vec<Evidence>) -> Item {
        let required = match self.required {
            Required::Yes => true,
            Required::InProduction => cluster.nodes().iter().any(|node| node.settings.hardening.production),
            Required::No => false,
        };
        let &Self { name, what, remedy, source, .. } = self;
        Item { name, what, required, evidence, remedy, source }
    }
}

pub(super) fn evidence(host: Option<&str>, passed: bool, found: impl Into<String>) -> Evidence {
    let state = if passed { State::Holds } else { State::Broken };
    Evidence { host: host.map(str::to_owned), state, found: found.into() }
}

pub(super) fn unknown(host: &str, found: impl Into<String>) -> Evidence {
    Evidence { host: Some(host.to_owned()), state: State::Unknown, found: found.into() }
}

pub(super) fn not_applicable(host: Option<&str>, found: impl Into<String>) -> Evidence {
    Evidence { host: host.map(str::to_owned), state: State::NotApplicable, found: found.into() }
}
