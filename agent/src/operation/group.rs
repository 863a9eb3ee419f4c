//! A group exists.

use serde::{Deserialize, Serialize};

/// A system group called `name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number, for a new one and checked on an old one.
    pub gid: Option<u32>,
}
