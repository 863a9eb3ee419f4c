//! A file for a host, with its bytes, owner and mode.

use std::sync::Arc;

use apim_protocol::operation::file::Show;
use apim_protocol::value::{AbsPath, FileMode, Owner};

use super::topology::Node;

/// A file to write to a host.
#[derive(Debug, Clone)]
pub struct PlacedFile {
    /// The absolute path.
    pub path: AbsPath,
    /// The content.
    pub bytes: Arc<[u8]>,
    /// Its mode.
    pub mode: FileMode,
    /// Its owner.
    pub owner: Owner,
    /// How much of the content may be shown.
    pub show: Show,
    /// Whether this is only a managed block in a file that is not managed as a whole.
    pub is_block: bool,
}

/// Returns the owner of a node's files.
#[must_use]
pub fn owner(node: &Node) -> Owner {
    Owner { user: Some(node.settings.user.clone()), group: Some(node.settings.group.clone()) }
}
