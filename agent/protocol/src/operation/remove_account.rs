//! An account and its group that apim-deploy created are removed.

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content};

/// The account `user` and the group `group` are gone, as far as we made them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveAccount {
    /// The account.
    pub user: String,
    /// The group.
    pub group: String,
    /// Folders whose files may belong to them: as long as one of these is there, both stay.
    pub needed_by: Vec<AbsPath>,
}

impl Describe for RemoveAccount {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        true
    }
}
