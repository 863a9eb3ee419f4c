//! A system account exists.

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content};

/// A system account called `name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number, for a new one and checked on an old one.
    pub uid: Option<u32>,
    /// Its primary group.
    pub group: Option<String>,
    /// Its home folder; made only for a new account.
    pub home: Option<AbsPath>,
    /// Its login shell, such as `/usr/sbin/nologin`.
    pub shell: Option<AbsPath>,
    /// Whether it is a system account (no ageing, low number).
    pub system: bool,
}

impl Describe for Account {
    fn contents(&self) -> Vec<Content> {
        Vec::new()
    }

    fn is_host_local(&self) -> bool {
        true
    }
}
