//! One line in a file that apim-deploy does not own.

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content};

/// The file at `path` holds (or does not hold) a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The file; owner, mode and the other lines are kept.
    pub path: AbsPath,
    /// The last line that matches this regular expression is the one meant; without it, a line equal to `line`.
    pub pattern: Option<String>,
    /// The line as it should be; added at the end when none matches.
    pub line: String,
    /// Whether the line should be there at all; if not, all matching lines go.
    pub present: bool,
    /// Whether a missing file is made (0644).
    pub create: bool,
}

impl Describe for Line {
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
