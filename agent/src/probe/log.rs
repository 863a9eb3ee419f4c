//! A log read from a remembered place on: each poll reads only what is new, and follows the log through rotation and truncation.

use std::fs::{File, OpenOptions};
use std::io;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use apim_protocol::value::Sha256;
use serde::{Deserialize, Serialize};

use crate::probe::text::Lines;
use crate::probe::{ProbeError, rotation};

/// How many bytes before a mark are remembered (as a digest), to distinguish a file from another that got its inode.
const WITNESS: u64 = 64;

/// A place in a log: what stands behind it is new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The file that was the log at that time; `None` when there was none.
    pub inode: Option<u64>,
    /// Its length at that time.
    pub offset: u64,
    /// The digest of the last bytes before the mark.
    pub witness: Option<Sha256>,
}

impl Mark {
    /// Returns the end of the log at `path` as it is now; of a log that cannot be read, its beginning.
    #[must_use]
    pub fn end_of(path: &Path) -> Self {
        let Ok(file) = open(path) else { return Self::default() };
        let Ok(metadata) = file.metadata() else { return Self::default() };
        let offset = metadata.len();
        Self { inode: Some(metadata.ino()), offset, witness: witness(&file, offset) }
    }

    /// Returns the place at `offset` in the log at `path`; of a log that cannot be read, its beginning.
    #[must_use]
    pub fn at(path: &Path, offset: u64) -> Self {
        let Ok(file) = open(path) else { return Self::default() };
        let Ok(metadata) = file.metadata() else { return Self::default() };
        Self { inode: Some(metadata.ino()), offset, witness: witness(&file, offset) }
    }

    fn is_in(&self, file: &File, length: u64) -> bool {
        length >= self.offset && (self.witness.is_none() || witness(file, self.offset) == self.witness)
    }
}

/// Reads a log from a mark on.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    inode: Option<u64>,
    offset: u64,
    lines: Lines,
    unproven: Option<Mark>,
    is_complete: bool,
}

impl Reader {
    /// Returns a reader of the log at `path` for what was written since `mark`.
    #[must_use]
    pub fn since(path: &Path, mark: &Mark) -> Self {
        Self {
            path: path.to_owned(),
            inode: mark.inode,
            offset: mark.offset,
            lines: Lines::default(),
            unproven: Some(mark.clone()),
            is_complete: true,
        }
    }

    /// Returns the log's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says whether everything since the mark was there to be read; not so when the log was cut or rotated away meanwhile.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Gives every line that was completed since the last call to `each`. A log that is not there (yet) has none.
    ///
    /// When `each` breaks off, reading ends soon after (some more lines may be lost): meant for a search of one line.
    ///
    /// # Errors
    /// When the log cannot be read, or is not a regular file.
    pub fn poll(&mut self, each: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<(), ProbeError> {
        let file = match open(&self.path) {
            Ok(file) => file,
            Err(ProbeError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata().map_err(|error| ProbeError::read(&self.path, error))?;
        let is_same = match (self.inode, self.unproven.take()) {
            (Some(inode), Some(mark)) if inode == metadata.ino() => mark.is_in(&file, metadata.len()),
            (Some(inode), None) => inode == metadata.ino(),
            (Some(_), Some(_)) => false,
            // there was no log at the mark: all of it is new
            (None, _) => {
                self.inode = Some(metadata.ino());
                true
            }
        };
        if !is_same {
            if self.read_rotated(metadata.ino(), each)?.is_break() {
                return Ok(());
            }
        } else if metadata.len() < self.offset {
            self.is_complete = false;
            self.lines.clear();
            self.offset = 0;
        }
        self.read_on(file, each).map(drop)
    }

    /// As [`Reader::poll`], and gives what stands behind the last line ending too.
    ///
    /// # Errors
    /// As [`Reader::poll`].
    pub fn finish(&mut self, each: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<(), ProbeError> {
        self.poll(each)?;
        // nothing comes behind it, so it is all the same whether reading should go on
        match self.last_line(each) {
            ControlFlow::Continue(()) | ControlFlow::Break(()) => Ok(()),
        }
    }

    /// Reads the rest of the file that was the log before, and of those that were it in between.
    fn read_rotated(
        &mut self,
        present: u64,
        each: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ProbeError> {
        let former = self.inode.filter(|inode| *inode != present);
        let chain = former.map(|inode| rotation::since(&self.path, inode)).unwrap_or_default();
        if chain.is_empty() {
            self.is_complete = false;
            self.lines.clear();
        }
        for path in chain {
            if self.read_on(open(&path)?, each)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.last_line(each).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            self.offset = 0;
        }
        self.inode = Some(present);
        self.offset = 0;
        Ok(ControlFlow::Continue(()))
    }

    fn last_line(&mut self, each: &mut dyn FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        self.lines.finish(&mut |line| flow = each(line));
        flow
    }

    fn read_on(
        &mut self,
        mut file: File,
        each: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ProbeError> {
        let fail = |error| ProbeError::read(&self.path, error);
        file.seek(SeekFrom::Start(self.offset)).map_err(fail)?;
        let mut buffer = vec![0; 64 * 1024];
        let mut flow = ControlFlow::Continue(());
        loop {
            let count = file.read(&mut buffer).map_err(|error| ProbeError::read(&self.path, error))?;
            self.offset += count as u64;
            self.lines.push(buffer.get(..count).unwrap_or_default(), &mut |line| {
                if flow.is_continue() {
                    flow = each(line);
                }
            });
            if count == 0 || flow.is_break() {
                return Ok(flow);
            }
        }
    }
}

/// Returns how long ago the file that is the log at `path` was made.
///
/// # Errors
/// When there is none, or its file system does not know.
pub fn age(path: &Path) -> io::Result<Duration> {
    let made = std::fs::symlink_metadata(path)?.created()?;
    Ok(SystemTime::now().duration_since(made).unwrap_or_default())
}

/// Opens a log: a regular file, never a link, so that an account that may write the folder cannot expose another file.
pub(super) fn open(path: &Path) -> Result<File, ProbeError> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let not_a_file = || ProbeError::NotAFile { path: path.display().to_string() };
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => not_a_file(),
        _ => ProbeError::read(path, error),
    })?;
    let is_file = file.metadata().map_err(|error| ProbeError::read(path, error))?.is_file();
    if is_file { Ok(file) } else { Err(not_a_file()) }
}

fn witness(file: &File, offset: u64) -> Option<Sha256> {
    let size = offset.min(WITNESS);
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.read_exact_at(&mut bytes, offset - size).ok()?;
    (size > 0).then(|| Sha256::of(&bytes))
}

#[cfg(test)]
mod tests;
