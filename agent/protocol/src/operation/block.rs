//! Managed lines between marker lines in a file that apim-deploy does not own, such as `/etc/hosts`.

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content};

/// The file at `path` holds `lines` between `# BEGIN marker` and `# END marker`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The file; owner, mode and everything outside the block are kept.
    pub path: AbsPath,
    /// What the two marker lines say after `# BEGIN ` and `# END `.
    pub marker: String,
    /// The lines between; none removes the block.
    pub lines: Vec<String>,
    /// Whether a missing file is made (0644).
    pub create: bool,
}

impl Describe for Block {
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
