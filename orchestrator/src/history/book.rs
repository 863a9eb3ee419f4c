//! The folder of records: the register with its lock, what is kept and for how long, which records are whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use apim_protocol::chain;
use apim_protocol::value::Sha256;
use rustix::fs::{FlockOperation, flock};

use super::entry::{Begun, Ended, Line, Moment, Registered};
use crate::state;

/// The register's file.
const REGISTER: &str = "register.jsonl";
/// So many runs are kept …
const RUNS: usize = 1000;
/// … as long as their records have no more bytes than this.
const BYTES: u64 = 512 * 1024 * 1024;
/// A record is read up to this size.
const LARGEST: u64 = 256 * 1024 * 1024;

/// The folder of records.
#[derive(Debug, Clone)]
pub struct Book {
    folder: PathBuf,
    /// How many runs are kept at most, and how many bytes their records may have.
    most: (usize, u64),
}

/// A run as the register knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The run's id.
    pub run: String,
    /// When it began.
    pub at: String,
    /// What was called for.
    pub verb: String,
    /// With which playbook.
    pub playbook: String,
    /// Who, where.
    pub operator: String,
    /// On which inventory.
    pub inventory: PathBuf,
    /// How it ended.
    pub end: End,
    first: Sha256,
    last: Option<Sha256>,
}

/// How a run ended, as far as the register knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    /// It goes on.
    Running,
    /// Its program was ended from outside, or its machine.
    NotEnded,
    /// It ended.
    Ended {
        /// Its exit code.
        code: u8,
        /// How many steps changed something.
        changed: usize,
        /// How long it took, in seconds.
        seconds: f64,
    },
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The run whose record it is; `None` for the register itself.
    pub run: Option<String>,
    /// What, as a sentence.
    pub what: String,
}

/// The records, and what is wrong with the register that names them.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Oldest first.
    pub runs: Vec<Record>,
    /// What is wrong with the register.
    pub problems: Vec<Problem>,
}

impl Book {
    /// Returns the records in this user's folder.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("history"), most: (RUNS, BYTES) }
    }

    /// Returns the same records, of which fewer are kept.
    #[cfg(test)]
    pub(super) fn keeping(state: &Path, runs: usize, bytes: u64) -> Self {
        Self { most: (runs, bytes), ..Self::new(state) }
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens a new record: its first line is written, and it is registered. The file's lock says that the run goes on.
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

    /// Adds a line to the register; one run at a time.
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

    /// Gives up the oldest records where there are too many; the lines that stay hold together.
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

    /// Returns all runs that are kept.
    ///
    /// # Errors
    /// When the register cannot be read.
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

    /// Returns the lines of a record; those that a dying program left behind half are left out.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn lines(&self, run: &str) -> io::Result<Vec<Line>> {
        let Some(text) = read(&self.path_of(run))? else { return Err(io::ErrorKind::NotFound.into()) };
        Ok(lines(&text).filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// Returns what is not as it was written, in the register and in every record that it names.
    ///
    /// # Errors
    /// When the register cannot be read.
    pub fn verify(&self) -> io::Result<Recorded> {
        let mut recorded = self.read()?;
        for record in &recorded.runs {
            if let Err(what) = self.check(record) {
                recorded.problems.push(Problem { run: Some(record.run.clone()), what });
            }
        }
        let known: BTreeSet<&str> = recorded.runs.iter().map(|record| record.run.as_str()).collect();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let run = name.strip_suffix(".jsonl").filter(|_| name != REGISTER);
            if let Some(run) = run.filter(|run| !known.contains(run)) {
                let what = format!("{run}: there is a record that the register does not name");
                recorded.problems.push(Problem { run: Some(run.to_owned()), what });
            }
        }
        Ok(recorded)
    }

    fn check(&self, record: &Record) -> Result<(), String> {
        let run = &record.run;
        let text = match read(&self.path_of(run)) {
            Ok(Some(text)) => text,
            Ok(None) => return Err(format!("{run}: the record is gone")),
            Err(error) => return Err(format!("{run}: the record cannot be read: {error}")),
        };
        chain::verify(lines(&text)).map_err(|broken| format!("{run}: {broken}"))?;
        if lines(&text).next().map(chain::digest) != Some(record.first) {
            return Err(format!("{run}: its first line is not the one that was registered"));
        }
        if record.last.is_some() && lines(&text).last().map(chain::digest) != record.last {
            return Err(format!("{run}: its last line is not the one that was registered"));
        }
        Ok(())
    }

    /// Returns the one run whose id begins so.
    #[must_use]
    pub fn find<'a>(runs: &'a [Record], id: &str) -> Option<&'a Record> {
        let fits: BTreeMap<&str, &Record> = runs
            .iter()
            .filter(|record| record.run.starts_with(id) && !id.is_empty())
            .map(|record| (record.run.as_str(), record))
            .collect();
        fits.get(id).copied().or_else(|| fits.values().next().copied().filter(|_| fits.len() == 1))
    }

    /// Says whether the run of a record goes on.
    fn is_held(&self, run: &str) -> bool {
        let Ok(file) = File::open(self.path_of(run)) else { return false };
        flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    }

    fn path_of(&self, run: &str) -> PathBuf {
        // Ids of runs are ours; one that was put into the register by hand leads nowhere else.
        let name: String = run.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        self.folder.join(format!("{name}.jsonl"))
    }
}

/// Returns what is the time.
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
