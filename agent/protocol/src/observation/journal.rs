//! Entries of a host's journal.

use serde::{Deserialize, Serialize};

/// The host's journal: the requested entries, and whether all of it is intact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Oldest first.
    pub entries: Vec<JournalEntry>,
    /// How many older matching entries are left out.
    pub left_out: u64,
    /// How many lines the journal has.
    pub lines: u64,
    /// The digest of the last one.
    pub last: Option<String>,
    /// The first place that was modified.
    pub integrity_error: Option<IntegrityError>,
}

/// One step that ended on the host. Serialized names are those of the journal file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Seconds since 1970.
    pub time: u64,
    /// The run's id.
    pub run: String,
    /// Its id in the run.
    pub step: u32,
    /// `user@machine`.
    pub operator: String,
    /// Its title.
    pub title: String,
    /// `ok`, `changed`, `skipped`, `failed`, `observed`.
    pub outcome: String,
    /// The changes, or the reason of the failure or the skip.
    #[serde(default)]
    pub detail: Vec<String>,
    /// In milliseconds.
    pub millis: u64,
}

/// A place of the journal that was modified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrityError {
    /// The file's name.
    pub file: String,
    /// The line's number, from 1.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}
