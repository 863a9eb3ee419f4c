//! The checklist for production: what holds, on the evidence of the inventory and of the hosts. Pure: answers come in, items go out.
//!
//! `offline` judges what the inventory alone says, `hosts` what hosts answer to `questions`.

use apim_protocol::observation::Answer;

use super::cluster::Cluster;

mod hosts;
mod offline;
mod questions;
#[cfg(test)]
mod tests;

pub use questions::examine;

/// Whether something holds somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It does not matter here.
    NotApplicable,
    /// It holds.
    Holds,
    /// It could not be found out.
    Unknown,
    /// It does not hold.
    Broken,
}

impl State {
    /// Returns the words for tables.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotApplicable => "n/a",
            Self::Holds => "holds",
            Self::Unknown => "unknown",
            Self::Broken => "does not hold",
        }
    }
}

/// What was found in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The host; `None` for the inventory.
    pub host: Option<String>,
    /// Whether it holds there.
    pub state: State,
    /// The file, value or process that says so.
    pub found: String,
}

/// One line of the checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name for programs.
    pub name: &'static str,
    /// What should hold.
    pub what: &'static str,
    /// Whether the audit fails where it does not.
    pub required: bool,
    /// What was found.
    pub evidence: Vec<Evidence>,
    /// What to do where it does not hold.
    pub remedy: &'static str,
    /// Which page of the product's documentation asks for it.
    pub source: &'static str,
}

impl Item {
    /// Returns the worst that was found.
    #[must_use]
    pub fn state(&self) -> State {
        self.evidence.iter().map(|one| one.state).max().unwrap_or(State::NotApplicable)
    }

    /// Says whether the audit fails for it.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.required && self.state() == State::Broken
    }
}

/// The pages that items come from.
const DEPLOYMENT: &str = "Production deployment guidelines";
const SECURITY: &str = "Security guidelines for production deployment";
const TUNING: &str = "Performance tuning and testing results";

/// What one host answered, or why it did not.
pub type Testimony<'a> = (&'a str, Result<&'a [Answer], String>);

/// Returns the checklist. `seen` is `None` when no host was asked; `open` says which files with secrets others may read.
#[must_use]
pub fn items(cluster: &Cluster, seen: Option<&[Testimony<'_>]>, open: &[String]) -> Vec<Item> {
    let mut items = offline::items(cluster, open);
    if let Some(seen) = seen {
        items.extend(hosts::items(cluster, seen));
    }
    items
}

fn evidence(host: Option<&str>, holds: bool, found: impl Into<String>) -> Evidence {
    let state = if holds { State::Holds } else { State::Broken };
    Evidence { host: host.map(str::to_owned), state, found: found.into() }
}

fn unknown(host: &str, found: impl Into<String>) -> Evidence {
    Evidence { host: Some(host.to_owned()), state: State::Unknown, found: found.into() }
}

fn not_applicable(host: Option<&str>, found: impl Into<String>) -> Evidence {
    Evidence { host: host.map(str::to_owned), state: State::NotApplicable, found: found.into() }
}
