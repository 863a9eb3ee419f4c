//! The host's own record of what was done: one JSON line a finished step, bounded, readable by its owner only, free of secrets.
//!
//! A run whose link was lost reads back from it what became of the step that was in hand.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::chain;
use crate::observation::Answer;
use crate::outcome::{Difference, Failure, Outcome};
use crate::protocol::message::{Done, StepId};
use crate::value::Sha256;

/// Its name in the state folder.
const FILE: &str = "journal.jsonl";
/// At this length the journal is set aside (one old one is kept).
const LIMIT: u64 = 4 * 1024 * 1024;
/// So much of its end is read back.
const TAIL: u64 = 512 * 1024;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// The digest of the last line, once it is known; whoever holds the host's lock is the only one who writes.
    last: Cell<Option<Sha256>>,
}

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    /// The digest of the line before it; set when it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Sha256>,
    /// Seconds since 1970.
    pub(super) time: u64,
    pub(super) run: &'a str,
    pub(super) step: StepId,
    pub(super) operator: &'a str,
    pub(super) title: &'a str,
    pub(super) outcome: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) detail: Vec<String>,
    pub(super) millis: u64,
}

/// What is read back of a line.
#[derive(Debug, Deserialize)]
struct Past {
    run: String,
    step: StepId,
    outcome: String,
    #[serde(default)]
    detail: Vec<String>,
    millis: u64,
}

impl Past {
    /// Returns the step, if its outcome says that something was done.
    fn done(self) -> Option<Done> {
        let Self { step, outcome, detail, millis, .. } = self;
        let outcome = match outcome.as_str() {
            "changed" => Outcome::Changed(Difference { items: detail, diff: None }),
            "failed" => {
                let mut detail = detail.into_iter();
                let what = detail.next().unwrap_or_default();
                Outcome::Failed(Failure { what, causes: detail.collect(), ..Failure::default() })
            }
            _ => return None,
        };
        Some(Done { step, outcome, millis })
    }
}

/// Returns an outcome's word, and the short statements that go with it.
pub(super) fn words(outcome: &Outcome) -> (&'static str, Vec<String>) {
    let (word, mut detail) = match outcome {
        Outcome::Ok => ("ok", Vec::new()),
        Outcome::Observed(seen) => ("observed", seen.answers.iter().filter_map(Answer::ended).collect()),
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
        Self { path: folder.join(FILE), last: Cell::new(None) }
    }

    /// Returns the steps of `run` that did something, each with its last outcome. A line that cannot be read is none.
    pub(super) fn done(&self, run: &str) -> Vec<Done> {
        let mut done = BTreeMap::new();
        for path in [self.path.with_extension("jsonl.old"), self.path.clone()] {
            let text = tail(&path).unwrap_or_default();
            let lines = text.split(|byte| *byte == b'\n');
            let past = lines.filter_map(|line| serde_json::from_slice::<Past>(line).ok());
            for past in past.filter(|past| past.run == run) {
                let step = past.step;
                match past.done() {
                    Some(one) => done.insert(step, one),
                    None => done.remove(&step),
                };
            }
        }
        done.into_values().collect()
    }

    /// Adds a line, which names the one before it.
    pub(super) fn append(&self, line: Line<'_>) -> io::Result<()> {
        let before = match self.last.get() {
            Some(last) => Some(last),
            None => self.find_last()?,
        };
        if fs::metadata(&self.path).is_ok_and(|data| data.len() > LIMIT) {
            fs::rename(&self.path, self.path.with_extension("jsonl.old"))?;
        }
        let mut text = serde_json::to_vec(&Line { before, ..line })?;
        let digest = chain::digest(&text);
        text.push(b'\n');
        OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?.write_all(&text)?;
        self.last.set(Some(digest));
        Ok(())
    }

    /// Returns the digest of the last line that is there; one that was torn when its agent died gets its end.
    fn find_last(&self) -> io::Result<Option<Sha256>> {
        for path in [self.path.clone(), self.path.with_extension("jsonl.old")] {
            let text = tail(&path).unwrap_or_default();
            if text.last().is_some_and(|last| *last != b'\n') {
                OpenOptions::new().append(true).open(&path)?.write_all(b"\n")?;
            }
            let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            if let Some(last) = lines.next_back() {
                return Ok(Some(chain::digest(last)));
            }
        }
        Ok(None)
    }
}

fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text)?;
    Ok(text)
}
