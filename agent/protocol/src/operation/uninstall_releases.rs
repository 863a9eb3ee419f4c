//! All unpacked archives in a folder are removed, with the managed files around it.

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content};

/// Nothing that apim-deploy created is left in `folder` and around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UninstallReleases {
    /// The folder that holds unpacked archives side by side.
    pub folder: AbsPath,
    /// Managed files and links; a link is removed only when it leads into `folder`.
    pub ours: Vec<AbsPath>,
    /// Folders that go when nothing else is in them, in this order.
    pub emptied: Vec<AbsPath>,
}

impl Describe for UninstallReleases {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        true
    }
}
