//! A path does not exist.

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content};

/// `path` does not exist: a file or link is removed, a folder only when `recursive`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// What is to go.
    pub path: AbsPath,
    /// Whether a folder may go with all it holds (links inside are never followed).
    pub recursive: bool,
}

impl Describe for Absent {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        true
    }
}
