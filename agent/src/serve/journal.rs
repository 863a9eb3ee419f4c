//! The host's own record of what was done: one JSON line a finished step, bounded, readable by its owner only, free of secrets.
//!
//! A run whose link was lost reads back from it what became of the step that was in hand. Two sessions of one run may add to it at
//! once; when a session ends the digest of the last line is kept in another file, so that a lost end is noticed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use apim_protocol::chain;
use apim_protocol::message::{Done, StepId};
use apim_protocol::observation::Answer;
use apim_protocol::outcome::{Change, Difference, Failure, Outcome, ReleaseChange};
use apim_protocol::value::Sha256;
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use serde::{Deserialize, Serialize};

use crate::query::read_journal::{FILE, LAST_FILE, LIMIT, OLD_FILE};

/// So much of its end is read back.
const TAIL: u64 = 512 * 1024;
/// The most details of one line, and the longest of them, in characters.
const DETAILS: usize = 20;
const TEXT: usize = 500;

#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    /// What this session wrote last, if anything.
    last: Cell<Option<Last>>,
}

/// The last line, and the file as it was then: when it is so no longer, another session of the run has written.
#[derive(Debug, Clone, Copy)]
struct Last {
    digest: Sha256,
    /// Which file, how long.
    file: (u64, u64),
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
    /// The changes, where one of them means more than its text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) changes: Vec<Change>,
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
    #[serde(default)]
    changes: Vec<Change>,
    millis: u64,
}

impl Past {
    /// Returns the step, if its outcome says that something was done.
    fn done(self) -> Option<Done> {
        let Self { step, outcome, detail, changes, millis, .. } = self;
        let outcome = match outcome.as_str() {
            "changed" if changes.is_empty() => Outcome::Changed(Difference::of(detail)),
            "changed" => Outcome::Changed(Difference { changes, diff: None }),
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
        Outcome::WouldChange(difference) => ("would_change", difference.statements()),
        Outcome::Changed(difference) => ("changed", difference.statements()),
        Outcome::Skipped(why) => ("skipped", vec![why.clone()]),
        Outcome::Failed(failure) => {
            ("failed", std::iter::once(failure.what.clone()).chain(failure.causes.iter().cloned()).collect())
        }
    };
    detail.truncate(DETAILS);
    for text in &mut detail {
        *text = text.chars().take(TEXT).collect();
    }
    (word, detail)
}

/// Returns the changes, bounded like the statements; none where the statements say the same.
pub(super) fn typed(outcome: &Outcome) -> Vec<Change> {
    let Outcome::Changed(Difference { changes, .. }) = outcome else { return Vec::new() };
    let is_typed = |change: &Change| matches!(change, Change::Release(_) | Change::Restart { .. });
    if !changes.iter().any(is_typed) {
        return Vec::new();
    }
    let short = |text: &String| text.chars().take(TEXT).collect();
    let bounded = changes.iter().take(DETAILS).map(|change| match change {
        Change::Release(ReleaseChange { from, to }) => {
            Change::Release(ReleaseChange { from: short(from), to: short(to) })
        }
        Change::Restart { reasons } => {
            Change::Restart { reasons: reasons.iter().take(DETAILS).map(short).collect() }
        }
        Change::Content { .. } => change.clone(),
        Change::Text(text) => Change::Text(short(text)),
    });
    bounded.collect()
}

impl Journal {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), last: Cell::new(None) }
    }

    /// Returns the steps of `run` that did something, each with its last outcome. A line that cannot be read is none.
    pub(super) fn done(&self, run: &str) -> Vec<Done> {
        let mut done = BTreeMap::new();
        for name in [OLD_FILE, FILE] {
            let text = tail(&self.folder.join(name)).unwrap_or_default();
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
        let _alone = self.alone()?;
        let path = self.folder.join(FILE);
        let now = which(&path);
        let before = match self.last.get() {
            Some(last) if now == Some(last.file) => Some(last.digest),
            _ => self.find_last()?,
        };
        if now.is_some_and(|(_, length)| length > LIMIT) {
            fs::rename(&path, self.folder.join(OLD_FILE))?;
            // What was last before this may be given up next.
            self.keep_last(before)?;
        }
        let mut text = serde_json::to_vec(&Line { before, ..line })?;
        let digest = chain::digest(&text);
        text.push(b'\n');
        OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?.write_all(&text)?;
        self.last.set(which(&path).map(|file| Last { digest, file }));
        Ok(())
    }

    /// Keeps what the last line is, if this session wrote any.
    pub(super) fn seal(&self) -> io::Result<()> {
        if self.last.get().is_none() {
            return Ok(());
        }
        let _alone = self.alone()?;
        // What is kept of the last line must not outlive the line when the power goes.
        File::open(self.folder.join(FILE))?.sync_data()?;
        self.keep_last(self.find_last()?)
    }

    fn keep_last(&self, last: Option<Sha256>) -> io::Result<()> {
        let Some(last) = last else { return Ok(()) };
        let (path, new) = (self.folder.join(LAST_FILE), self.folder.join("journal.last.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(format!("{last}\n").as_bytes())?;
        fs::rename(new, path)
    }

    /// Waits until no other session writes.
    fn alone(&self) -> io::Result<File> {
        let folder = File::open(&self.folder)?;
        retry_on_intr(|| flock(&folder, FlockOperation::LockExclusive))?;
        Ok(folder)
    }

    /// Returns the digest of the last line that is there; one that was torn when its agent died gets its end.
    fn find_last(&self) -> io::Result<Option<Sha256>> {
        for path in [FILE, OLD_FILE].map(|name| self.folder.join(name)) {
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

/// Returns the file's inode and length.
fn which(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|data| (data.ino(), data.len()))
}

fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text)?;
    Ok(text)
}
