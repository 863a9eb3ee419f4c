//! What the host's own record says was done there: the steps that are asked for, bounded and masked, and whether all of it is as it
//! was written. Read without the host's lock, also while a run appends to it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use apim_protocol::observation::{Answer, IntegrityError, JournalEntry, Observation, Recorded};
use apim_protocol::outcome::Failure;
use apim_protocol::query::read_journal::ReadJournal;
use apim_protocol::value::Sha256;
use apim_protocol::{chain, mask};

use crate::operation::support::dialogue::Report;
use crate::probe::text::{harmless, shortened};
use crate::query::observe::Observe;
use crate::system::System;

/// The record's file in the state folder.
pub(crate) const FILE: &str = "journal.jsonl";
/// The one before it, which was set aside when it had become long.
pub(crate) const OLD_FILE: &str = "journal.jsonl.old";
/// The digest of the line that was last when a session ended.
pub(crate) const LAST_FILE: &str = "journal.last";
/// At this length the record is set aside.
pub(crate) const LIMIT: u64 = 4 * 1024 * 1024;

/// A file that is longer than this was not written by an agent: what it adds at once is less.
const LONGEST: u64 = LIMIT + 1024 * 1024;
/// The most entries …
const MOST: usize = 5000;
/// … and so many bytes of them.
const BYTES: usize = 1024 * 1024;
/// The longest text of an entry, in characters.
const TEXT: usize = 500;
/// The most details of an entry.
const DETAILS: usize = 20;

impl Observe for ReadJournal {
    fn observe(&self, system: &System, _: &mut dyn Report) -> Result<Observation, Failure> {
        let recorded = read(self, system.state().folder())
            .map_err(|error| Failure::from_error("the host's journal cannot be read", &error))?;
        let answers = vec![Answer::Recorded(Box::new(recorded))];
        Ok(Observation { answers, ..Observation::default() })
    }
}

fn read(query: &ReadJournal, folder: &Path) -> io::Result<Recorded> {
    let record = Record::read(folder)?;
    let mut recorded = Recorded {
        integrity_error: record.integrity_error(),
        lines: record.lines.len() as u64,
        last: record.digests.last().map(ToString::to_string),
        ..Recorded::default()
    };
    let most = usize::try_from(query.last).unwrap_or(MOST).min(MOST);
    let (mut entries, mut bytes) = (VecDeque::new(), 0);
    for entry in record.lines.iter().rev().filter_map(|line| wanted(query, &line.text)) {
        bytes +=
            entry.title.len() + entry.operator.len() + entry.detail.iter().map(String::len).sum::<usize>();
        if entries.len() < most && bytes <= BYTES {
            entries.push_front(entry);
        } else {
            recorded.left_out += 1;
        }
    }
    recorded.entries = entries.into();
    Ok(recorded)
}

fn wanted(query: &ReadJournal, line: &[u8]) -> Option<JournalEntry> {
    let entry: JournalEntry = serde_json::from_slice(line).ok()?;
    let is_wanted = query.run.as_ref().is_none_or(|run| entry.run.starts_with(run.as_str()))
        && query.since.is_none_or(|since| entry.time.saturating_mul(1000) >= since)
        && (query.idle || entry.outcome != "ok");
    is_wanted.then(|| shown(entry))
}

/// Bounds and masks an entry.
fn shown(entry: JournalEntry) -> JournalEntry {
    let text = |text: String| shortened(&mask::line(&harmless(text.as_bytes())), TEXT);
    let JournalEntry { time, run, step, operator, title, outcome, mut detail, millis } = entry;
    detail.truncate(DETAILS);
    let detail = detail.into_iter().map(text).collect();
    let (run, operator, title, outcome) = (text(run), text(operator), text(title), text(outcome));
    JournalEntry { time, run, step, operator, title, outcome, detail, millis }
}

/// The whole record, line by line.
struct Record {
    lines: Vec<Written>,
    digests: Vec<Sha256>,
    /// Whether there is a file that was set aside.
    has_old: bool,
    /// What the last line was when a session ended.
    sealed: Option<Sha256>,
}

/// A line, and where it stands.
struct Written {
    file: &'static str,
    number: u64,
    text: Vec<u8>,
}

impl Record {
    fn read(folder: &Path) -> io::Result<Self> {
        // First what was last: what is added meanwhile comes behind it.
        let sealed = sealed(folder);
        let (old, new) = loop {
            let (new, old) = (open(&folder.join(FILE))?, open(&folder.join(OLD_FILE))?);
            // Set aside just now: the file that goes on is another one.
            match (&new, &old) {
                (Some((_, new)), Some((_, old))) if new == old => {}
                _ => break (old, new),
            }
        };
        let has_old = old.is_some();
        let mut lines = Vec::new();
        for (name, file) in [(OLD_FILE, old), (FILE, new)] {
            let Some((file, _)) = file else { continue };
            let mut text = Vec::new();
            file.take(LONGEST + 1).read_to_end(&mut text)?;
            if text.len() as u64 > LONGEST {
                let what = format!("{name} is longer than an agent writes it; another program wrote to it");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            // A last line without its end is being written, or was torn when its agent died.
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let whole = text.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n').zip(1..);
            lines.extend(whole.filter(|(line, _)| !line.is_empty()).map(|(line, number)| Written {
                file: name,
                number,
                text: line.to_vec(),
            }));
        }
        let digests = lines.iter().map(|line| chain::digest(&line.text)).collect();
        Ok(Self { lines, digests, has_old, sealed })
    }

    /// Returns the first place that is not as it was written. What was set aside before the older file is given up.
    fn integrity_error(&self) -> Option<IntegrityError> {
        let at = |line: &Written, what: String| IntegrityError {
            file: line.file.to_owned(),
            line: line.number,
            what,
        };
        let first = self.lines.first();
        if let Err(broken) = chain::verify(self.lines.iter().map(|line| line.text.as_slice())) {
            let line = self.lines.get(broken.line.saturating_sub(1))?;
            let what = "it does not follow from the line before it: one of them was changed, or lines were taken out or put in";
            return Some(at(line, what.to_owned()));
        }
        if let Some(first) = first.filter(|line| !self.has_old && chain::is_linked(&line.text)) {
            return Some(at(first, "what stood before it is gone".to_owned()));
        }
        let sealed = self.sealed.as_ref()?;
        if self.digests.contains(sealed) {
            return None;
        }
        let what = "the line that was last when a run had ended is not there: it was changed, or the end was cut off";
        Some(match self.lines.last() {
            Some(last) => at(last, what.to_owned()),
            None => IntegrityError { file: FILE.to_owned(), line: 0, what: what.to_owned() },
        })
    }
}

fn sealed(folder: &Path) -> Option<Sha256> {
    let (file, _) = open(&folder.join(LAST_FILE)).ok()??;
    let mut text = String::new();
    file.take(128).read_to_string(&mut text).ok()?;
    Sha256::parse(text.trim()).ok()
}

/// Opens a file, if there is one, and says which it is.
fn open(path: &Path) -> io::Result<Option<(File, (u64, u64))>> {
    match File::open(path) {
        Ok(file) => {
            let data = file.metadata()?;
            Ok(Some((file, (data.dev(), data.ino()))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
