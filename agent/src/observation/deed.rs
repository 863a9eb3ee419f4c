//! What a host's own record says was done there.

use serde::{Deserialize, Serialize};

/// The host's own record: the deeds that were asked for, and whether all of it is as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Oldest first.
    pub deeds: Vec<Deed>,
    /// How many older ones fit as well and are left out, because there are too many.
    pub left_out: u64,
    /// How many lines the record has.
    pub lines: u64,
    /// The digest of the last one.
    pub last: Option<String>,
    /// The first place that is not as it was written.
    pub flaw: Option<Flaw>,
}

/// One step that ended there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When, in seconds since 1970.
    pub time: u64,
    /// In which run.
    pub run: String,
    /// Its number there.
    pub step: u32,
    /// Who ran it, from where.
    pub operator: String,
    /// Its title.
    pub title: String,
    /// `ok`, `changed`, `skipped`, `failed`, `observed`.
    pub outcome: String,
    /// What was changed, or why it failed or was left out.
    #[serde(default)]
    pub detail: Vec<String>,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// A place of the record that is not as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// The file's name.
    pub file: String,
    /// The line's number, from 1.
    pub line: u64,
    /// What is wrong there.
    pub what: String,
}
