//! Files that one service reads, and that are validated and loaded together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command::Invocation;
use super::describe::Describe;
use super::file::File;
use crate::value::{Content, UnitName};

/// The files are up to date, and their reader has loaded them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The service that reads the files; all of its bundles share one note.
    pub reader: UnitName,
    /// The files; missing folders are made.
    pub files: Vec<File>,
    /// Says whether the reader would take what it is about to be given (exit status 0); it must only read.
    pub verify: Option<Invocation>,
    /// Has the reader read its files.
    pub tell: Invocation,
}

impl Describe for Bundle {
    fn contents(&self) -> Vec<Content> {
        self.files.iter().map(|file| file.content).collect()
    }

    fn is_host_local(&self) -> bool {
        true
    }

    fn own_deadline(&self) -> Duration {
        self.verify.iter().chain([&self.tell]).map(Invocation::deadline).sum()
    }

    fn file(&self) -> Option<String> {
        let paths: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        Some(paths.join(" "))
    }
}
