//! Old unpacked archives in a folder are removed; the newest are kept.

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content};

/// Of the archives unpacked in `folder`, only so many stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prune {
    /// The folder that holds them side by side.
    pub folder: AbsPath,
    /// How many stay, at least 2; those that were used last.
    pub keep: u32,
    /// Names that stay in any case.
    pub spare: Vec<String>,
    /// A link to the one in use, which stays; without it nothing goes.
    pub in_use: AbsPath,
    /// A file in each of them that is written as long as it is in use, such as a log.
    pub used: Option<String>,
}

impl Describe for Prune {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        true
    }
}
