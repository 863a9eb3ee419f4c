//! Nothing stands at a path.

use serde::{Deserialize, Serialize};

use crate::value::AbsPath;

/// Nothing stands at `path`: a file or link is removed, a folder only when `recursive`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// What is to go.
    pub path: AbsPath,
    /// Whether a folder may go with all it holds (links inside are never followed).
    pub recursive: bool,
}
