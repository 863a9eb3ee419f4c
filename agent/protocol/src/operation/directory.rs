//! A folder exists.

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content, FileMode, Owner};

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

impl Describe for Directory {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        true
    }
}
