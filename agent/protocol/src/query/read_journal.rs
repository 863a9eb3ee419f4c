//! Entries of the host's journal.

use serde::{Deserialize, Serialize};

/// Report entries of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadJournal {
    /// Only in runs whose id begins so.
    pub run: Option<String>,
    /// Only since then, in milliseconds since 1970.
    pub since: Option<u64>,
    /// The last so many.
    pub last: u32,
    /// Also steps that found the host up to date.
    pub idle: bool,
}
