//! A symbolic link, replaced atomically.

use serde::{Deserialize, Serialize};

use crate::value::AbsPath;

/// A symbolic link at `path` points to `target`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Where the link stands. A thing that is not a link there is a failure, never replaced.
    pub path: AbsPath,
    /// Where it points.
    pub target: AbsPath,
}
