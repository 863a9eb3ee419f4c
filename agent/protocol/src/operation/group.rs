//! A system group exists.

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::Content;

/// A system group called `name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number, for a new one and checked on an old one.
    pub gid: Option<u32>,
}

impl Describe for Group {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        true
    }
}
