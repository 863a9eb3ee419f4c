//! The end of a log, and what is added to it.

use serde::{Deserialize, Serialize};

use crate::value::{AbsPath, UnitName};

/// Report the end of a log, and follow it where requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Which.
    pub log: Log,
    /// The last so many entries; all of them where only `since` counts.
    pub last: Option<u32>,
    /// Only those since then, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Only those with a line that matches this regular expression.
    pub matching: Option<String>,
    /// Whether to go on with what is added, until the run is called off.
    pub goes_on: bool,
}

/// A log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// A file.
    File {
        /// Its folder.
        folder: AbsPath,
        /// Its name; with a `*` in it the newest file that fits.
        name: String,
    },
    /// What systemd's journal has of a unit.
    Journal(UnitName),
}
