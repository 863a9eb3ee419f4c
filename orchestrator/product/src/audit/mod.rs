//! The production checklist, evaluated on evidence from the inventory and the hosts. Pure: takes
//! answers, returns items.
//!
//! `offline` evaluates the inventory; `hosts` evaluates the hosts' answers to `questions`.

use apim_protocol::observation::Answer;

use super::cluster::Cluster;

mod hosts;
mod offline;
mod questions;
#[cfg(test)]
mod tests;

pub use questions::examine;

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
const DEPLOYMENT: &str = "Production deployment guidelines";
const SECURITY: &str = "Security guidelines for production deployment";
const TUNING: &str = "Performance tuning and testing results";

/// A host's answers, or why there are none.
pub type Testimony<'a> = (&'a str, Result<&'a [Answer], String>);

/// Returns the checklist. `seen` is `None` if no host was queried; `open` lists files with secrets
/// that other users can read.
#[must_use]
pub fn items(cluster: &Cluster, seen: Option<&[Testimony<'_>]>, open: &[String]) -> Vec<Item> {
    let mut items = offline::items(cluster, open);
    if let Some(seen) = seen {
        items.extend(hosts::items(cluster, seen));
    }
    items
}

fn evidence(host: Option<&str>, passed: bool, found: impl Into<String>) -> Evidence {
    let state = if passed { State::Holds } else { State::Broken };
    Evidence { host: host.map(str::to_owned), state, found: found.into() }
}

fn unknown(host: &str, found: impl Into<String>) -> Evidence {
    Evidence { host: Some(host.to_owned()), state: State::Unknown, found: found.into() }
}

fn not_applicable(host: Option<&str>, found: impl Into<String>) -> Evidence {
    Evidence { host: host.map(str::to_owned), state: State::NotApplicable, found: found.into() }
}
