//! A file that the host fetches from a URL, verified by digest.

use serde::{Deserialize, Serialize};

use super::archive::Pull;
use super::describe::Describe;
use crate::value::{AbsPath, Content, FileMode, Owner};

/// The file at `path` holds what `pull` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// What and whence.
    pub pull: Pull,
    /// Where to.
    pub path: AbsPath,
    /// Its mode; `None` as for a file.
    pub mode: Option<FileMode>,
    /// Its owner.
    pub owner: Owner,
}

impl Describe for Download {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        true
    }
}
