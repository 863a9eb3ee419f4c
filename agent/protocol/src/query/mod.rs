//! Queries: observations of a host. They change nothing, so they have no check mode.
//!
//! One file per query. A new one is a file and a variant here, and a file with its `Observe` in the agent.

use serde::{Deserialize, Serialize};

pub mod examine;
pub mod follow;
pub mod inspect;
pub mod read_journal;

/// One observation of a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// The state of a service.
    Inspect(Box<inspect::Inspect>),
    /// The answers to questions.
    Examine(examine::Examine),
    /// The end of a log, and what is added to it.
    Follow(follow::Follow),
    /// Entries of the host's journal, and whether it is intact.
    ReadJournal(read_journal::ReadJournal),
}

impl Query {
    /// Says whether the answer of the survey is the one that counts: it is judged before the first change.
    #[must_use]
    pub const fn is_host_local(&self) -> bool {
        match self {
            Self::Examine(_) => true,
            Self::Inspect(_) | Self::Follow(_) | Self::ReadJournal(_) => false,
        }
    }
}
