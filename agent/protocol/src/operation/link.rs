//! A symbolic link.

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content};

/// A symbolic link at `path` points to `target`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Where the link stands. A thing that is not a link there is a failure, never replaced.
    pub path: AbsPath,
    /// Where it points.
    pub target: AbsPath,
}

impl Describe for Link {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        true
    }

    fn file(&self) -> Option<String> {
        Some(self.path.to_string())
    }
}
