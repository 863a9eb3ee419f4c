//! The host's own record of what was done: one JSON line a finished step, bounded, readable by its owner only, free of secrets.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::outcome::Outcome;

/// At this length the journal is set aside (one old one is kept).
const LIMIT: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
}

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    /// Seconds since 1970.
    pub(super) time: u64,
    pub(super) run: &'a str,
    pub(super) operator: &'a str,
    pub(super) title: &'a str,
    pub(super) outcome: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) detail: Vec<String>,
    pub(super) millis: u64,
}

/// Returns an outcome's word, and the short statements that go with it.
pub(super) fn words(outcome: &Outcome) -> (&'static str, Vec<String>) {
    let (word, mut detail) = match outcome {
        Outcome::Ok => ("ok", Vec::new()),
        Outcome::Observed(_) => ("observed", Vec::new()),
        Outcome::WouldChange(difference) => ("would_change", difference.items.clone()),
        Outcome::Changed(difference) => ("changed", difference.items.clone()),
        Outcome::Skipped(why) => ("skipped", vec![why.clone()]),
        Outcome::Failed(failure) => {
            ("failed", std::iter::once(failure.what.clone()).chain(failure.causes.iter().cloned()).collect())
        }
    };
    detail.truncate(20);
    for text in &mut detail {
        *text = text.chars().take(500).collect();
    }
    (word, detail)
}

impl Journal {
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join("journal.jsonl") }
    }

    pub(super) fn append(&self, line: &Line<'_>) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|data| data.len() > LIMIT) {
            fs::rename(&self.path, self.path.with_extension("jsonl.old"))?;
        }
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?.write_all(&text)
    }
}
