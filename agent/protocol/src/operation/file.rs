//! A regular file with given bytes.

use serde::{Deserialize, Serialize};

use super::describe::Describe;
use crate::value::{AbsPath, Content, FileMode, Owner, Secret};

/// The file at `path` holds `content`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where.
    pub path: AbsPath,
    /// What it holds.
    pub content: Content,
    /// Its mode; `None` keeps an existing file's, and makes a new one 0644.
    pub mode: Option<FileMode>,
    /// Its owner.
    pub owner: Owner,
    /// How much of it may be shown in a difference.
    pub show: Show,
}

/// How much of a file's text a difference may show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// All of it.
    Text,
    /// All but these values and the values of keys that sound like secrets (password, secret, token, key_password, …).
    Masked(Vec<Secret>),
    /// Nothing (keystores, binaries).
    Nothing,
}

impl Describe for File {
    fn contents(&self) -> Vec<Content> {
        vec![self.content]
    }

    fn is_host_local(&self) -> bool {
        true
    }

    fn file(&self) -> Option<String> {
        Some(self.path.to_string())
    }
}
