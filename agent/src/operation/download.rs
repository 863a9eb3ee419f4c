//! A file fetched by the host from a URL, verified by digest.

use serde::{Deserialize, Serialize};

use crate::operation::archive::Pull;
use crate::value::{AbsPath, FileMode, Owner};

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
