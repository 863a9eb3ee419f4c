//! Entries of the host's journal.

use serde::{Deserialize, Serialize};

/// Tell what was done here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadJournal {
    /// Only in runs whose id begins so.
    pub run: Option<String>,
    /// Only since then, in milliseconds since 1970.
    pub since: Option<u64>,
    /// The last so many.
    pub last: u32,
    /// Also what was found as wished.
    pub idle: bool,
}
