//! The folder of run records: the register and its lock, retention, and integrity checks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use apim_protocol::chain;
use apim_protocol::value::Sha256;
use rustix::fs::{FlockOperation, flock};

use super::entry::{Begun, Ended, Line, Moment, Registered};
use apim_rollout::state;

/// File name of the register.
const REGISTER: &str = "register.jsonl";
/// Maximum number of runs to keep.
const RUNS: usize = 1000;
/// Maximum total size of all records, in bytes.
const BYTES: u64 = 512 * 1024 * 1024;
/// Records are read up to this size, in bytes.
const LARGEST: u64 = 256 * 1024 * 1024;

/// The folder of run records.
#[derive(Debug, Clone)]
pub struct Book {
    folder: PathBuf,
    /// Maximum number of runs, and maximum total size of their records in bytes.
    most: (usize, u64),
}

/// A run in the register.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Id of the run.
    pub run: String,
    /// Start time, UTC.
    pub at: String,
    /// The verb, such as `apply`.
    pub verb: String,
    /// The playbook; for `exec`, the command.
    pub playbook: String,
    /// `user@machine` that started the run.
    pub operator: String,
    /// Absolute path of the inventory.
    pub inventory: PathBuf,
    /// The state of the run.
    pub end: End,
    first: Sha256,
    last: Option<Sha256>,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    /// In progress.
    Running,
    /// The process was killed or the machine went down.
    NotEnded,
    /// Finished.
    Ended {
        /// The exit code.
        code: u8,
        /// Number of steps that changed something.
        changed: usize,
        /// Duration in seconds.
        seconds: f64,
    },
}

/// An integrity error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Id of the affected run; `None` for the register.
    pub run: Option<String>,
    /// Description of the error.
    pub what: String,
}

/// The runs in the register and its integrity errors.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The runs, oldest first.
    pub runs: Vec<Record>,
    /// Integrity errors.
    pub problems: Vec<Problem>,
}

impl Book {
    /// Returns the records in the state folder `state`.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("history"), most: (RUNS, BYTES) }
    }

    /// Returns the records with other retention limits.
    #[cfg(test)]
    pub(super) fn keeping(state: &Path, runs: usize, bytes: u64) -> Self {
        Self { most: (runs, bytes), ..Self::new(state) }
    }

    /// Returns the folder of the records.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Creates a record with its first line and registers it. The lock on the file marks the run as
    /// in progress.
    pub(super) fn begin(&self, begun: &Begun, line: &[u8]) -> io::Result<File> {
        state::make_private(&self.folder)?;
        let path = self.path_of(&begun.run);
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        file.write_all(&[line, b"\n"].concat())?;
        let Begun { verb, playbook, operator, inventory, .. } = begun.clone();
        let what = Moment::Begun { verb, playbook, operator, inventory, first: chain::digest(line) };
        self.register(&begun.run, what)?;
        Ok(file)
    }

    /// Registers the end of a record.
    pub(super) fn end(&self, run: &str, ended: &Ended, last: Sha256) -> io::Result<()> {
        let Ended { code, changed, seconds, .. } = *ended;
        self.register(run, Moment::Ended { code, changed, seconds, last })
    }

    /// Appends a line to the register, under its lock.
    fn register(&self, run: &str, what: Moment) -> io::Result<()> {
        let lock = OpenOptions::new().append(true).create(true).mode(0o600).open(self.folder.join("lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let path = self.folder.join(REGISTER);
        let mut text = read(&path)?.unwrap_or_default();
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
            OpenOptions::new().append(true).open(&path)?.write_all(b"\n")?;
        }
        let text = self.prune(text, run)?;
        let before = lines(&text).last().map(chain::digest);
        let registered = Registered { before, at: now(), run: run.to_owned(), what };
        let mut line = serde_json::to_vec(&registered)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        file.write_all(&line)?;
        file.sync_data()
    }

    /// Deletes the oldest records beyond the retention limits. The digest chain of the remaining
    /// lines stays valid.
    fn prune(&self, text: Vec<u8>, keep: &str) -> io::Result<Vec<u8>> {
        let known: Vec<(&[u8], Option<Registered>)> =
            lines(&text).map(|line| (line, serde_json::from_slice(line).ok())).collect();
        let begun = |one: &(&[u8], Option<Registered>)| match &one.1 {
            Some(Registered { run, what: Moment::Begun { .. }, .. }) => Some(run.clone()),
            _ => None,
        };
        let runs: Vec<(usize, String)> =
            known.iter().enumerate().filter_map(|(at, one)| Some((at, begun(one)?))).collect();
        let size = |run: &str| fs::metadata(self.path_of(run)).map_or(0, |data| data.len());
        let (mut left, mut bytes) = (runs.len(), runs.iter().map(|(_, run)| size(run)).sum::<u64>());
        let mut cut = 0;
        for (at, run) in &runs {
            if (left <= self.most.0 && bytes <= self.most.1) || run == keep || self.is_held(run) {
                break;
            }
            bytes = bytes.saturating_sub(size(run));
            left -= 1;
            cut = at + 1;
            match fs::remove_file(self.path_of(run)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if cut == 0 {
            return Ok(text);
        }
        let mut kept = Vec::new();
        for (line, _) in known.iter().skip(cut) {
            kept.extend_from_slice(line);
            kept.push(b'\n');
        }
        state::replace(&self.folder.join(REGISTER), &kept)?;
        Ok(kept)
    }

    /// Returns all runs in the register.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn read(&self) -> io::Result<Recorded> {
        let Some(text) = read(&self.folder.join(REGISTER))? else { return Ok(Recorded::default()) };
        let mut runs: Vec<Record> = Vec::new();
        let mut at_line: Vec<String> = Vec::new();
        for line in lines(&text) {
            let Ok(Registered { at, run, what, .. }) = serde_json::from_slice(line) else {
                at_line.push("?".to_owned());
                continue;
            };
            at_line.push(run.clone());
            match what {
                Moment::Begun { verb, playbook, operator, inventory, first } => {
                    let end = if self.is_held(&run) { End::Running } else { End::NotEnded };
                    runs.push(Record {
                        run,
                        at,
                        verb,
                        playbook,
                        operator,
                        inventory,
                        end,
                        first,
                        last: None,
                    });
                }
                Moment::Ended { code, changed, seconds, last } => {
                    if let Some(known) = runs.iter_mut().rev().find(|known| known.run == run) {
                        known.end = End::Ended { code, changed, seconds };
                        known.last = Some(last);
                    }
                }
            }
        }
        let mut problems = Vec::new();
        if let Err(broken) = chain::verify(lines(&text)) {
            let name = |at: usize| at_line.get(at).map_or("?", String::as_str);
            let (former, at) = (name(broken.line.saturating_sub(2)), name(broken.line - 1));
            problems
                .push(Problem { run: None, what: format!("register: {broken} (runs {former} and {at})") });
        }
        Ok(Recorded { runs, problems })
    }

    /// Returns the lines of a record. Incomplete lines of a killed run are skipped.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn lines(&self, run: &str) -> io::Result<Vec<Line>> {
        let Some(text) = read(&self.path_of(run))? else { return Err(io::ErrorKind::NotFound.into()) };
        Ok(lines(&text).filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// Checks the integrity of the register and of every record in it.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn verify(&self) -> io::Result<Recorded> {
        let mut recorded = self.read()?;
        for record in &recorded.runs {
            if let Err(error) = self.check(record) {
                let what = format!("{}: {error}", record.run);
                recorded.problems.push(Problem { run: Some(record.run.clone()), what });
            }
        }
        let known: BTreeSet<&str> = recorded.runs.iter().map(|record| record.run.as_str()).collect();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let run = name.strip_suffix(".jsonl").filter(|_| name != REGISTER);
            if let Some(run) = run.filter(|run| !known.contains(run)) {
                let what = format!("{run}: the record is not in the register");
                recorded.problems.push(Problem { run: Some(run.to_owned()), what });
            }
        }
        Ok(recorded)
    }

    fn check(&self, record: &Record) -> Result<(), RecordError> {
        let run = &record.run;
        let text = match read(&self.path_of(run)) {
            Ok(Some(text)) => text,
            Ok(None) => return Err(RecordError::Deleted),
            Err(error) => return Err(RecordError::Read(error)),
        };
        chain::verify(lines(&text)).map_err(|broken| RecordError::Broken(broken.to_string()))?;
        if lines(&text).next().map(chain::digest) != Some(record.first) {
            return Err(RecordError::FirstLine);
        }
        if record.last.is_some() && lines(&text).last().map(chain::digest) != record.last {
            return Err(RecordError::LastLine);
        }
        Ok(())
    }

    /// Returns the run with this id or with this unique prefix.
    #[must_use]
    pub fn find<'a>(runs: &'a [Record], id: &str) -> Option<&'a Record> {
        let fits: BTreeMap<&str, &Record> = runs
            .iter()
            .filter(|record| record.run.starts_with(id) && !id.is_empty())
            .map(|record| (record.run.as_str(), record))
            .collect();
        fits.get(id).copied().or_else(|| fits.values().next().copied().filter(|_| fits.len() == 1))
    }

    /// Returns whether the run of a record is in progress.
    fn is_held(&self, run: &str) -> bool {
        let Ok(file) = File::open(self.path_of(run)) else { return false };
        flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    }

    fn path_of(&self, run: &str) -> PathBuf {
        // Run ids are generated. Sanitize them in case the register was edited.
        let name: String = run.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        self.folder.join(format!("{name}.jsonl"))
    }
}

/// Why the integrity of a record is not proved.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("the record was deleted")]
    Deleted,
    #[error("cannot read the record: {0}")]
    Read(#[source] io::Error),
    /// A line does not contain the digest of the preceding one.
    #[error("{0}")]
    Broken(String),
    #[error("the first line does not match the register")]
    FirstLine,
    #[error("the last line does not match the register")]
    LastLine,
}

/// Returns the current time, UTC.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text)?;
    Ok(Some(text))
}
