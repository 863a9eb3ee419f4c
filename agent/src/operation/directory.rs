//! A folder, with mode and owner; parents that are missing are made too (0755, same owner).

use serde::{Deserialize, Serialize};

use crate::value::{AbsPath, FileMode, Owner};

/// A folder exists at `path`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Where.
    pub path: AbsPath,
    /// Its mode; `None` leaves an existing folder's mode, and makes a new one 0755.
    pub mode: Option<FileMode>,
    /// Its owner.
    pub owner: Owner,
}
