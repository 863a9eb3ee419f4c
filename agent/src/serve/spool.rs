//! Content on its way from the orchestrator: kept by digest until the step that used it is done, kept in part when interrupted.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use apim_protocol::operation::archive::part::Part;
use apim_protocol::value::{Content, Sha256};
use sha2::Digest as _;

use crate::system::System;

/// What an interrupted run left is thrown away after this time.
const KEEP: Duration = Duration::from_secs(3 * 24 * 3600);

/// The folder where content arrives. Without the host's lock it is one of this session's own, removed at its end.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    own: bool,
    used: Vec<PathBuf>,
}

impl Spool {
    pub(super) fn open(system: &System, locked: bool) -> io::Result<Self> {
        let mut folder = system.state().folder().join("spool");
        if locked {
            sweep(&folder);
        } else {
            folder.push(format!("look-{}-{:?}", std::process::id(), std::thread::current().id()));
        }
        Ok(Self { folder, own: !locked, used: Vec::new() })
    }

    fn make(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)
    }

    /// Returns the whole file of `content` when it is here already (it was verified before it got its name).
    pub(super) fn find(&mut self, content: &Content) -> Option<PathBuf> {
        let path = self.folder.join(content.sha256.to_string());
        let found =
            fs::symlink_metadata(&path).is_ok_and(|data| data.is_file() && data.len() == content.size);
        found.then(|| {
            self.used.push(path.clone());
            path
        })
    }

    /// Says whether `content` is here, or some of it.
    pub(super) fn has_some(&self, content: &Content) -> bool {
        let (whole, partial) = self.names(&content.sha256.to_string());
        [whole, partial].iter().any(|path| fs::symlink_metadata(path).is_ok_and(|data| data.len() > 0))
    }

    /// Begins or goes on to receive `content`.
    pub(super) fn receive(&mut self, content: &Content) -> io::Result<Incoming> {
        self.incoming(&content.sha256.to_string(), content.size, Some(content.sha256))
    }

    /// Begins or goes on to receive so many bytes of `parts` of `content`: kept are those of the very same parts.
    pub(super) fn receive_parts(
        &mut self,
        content: &Content,
        parts: &[Part],
        size: u64,
    ) -> io::Result<Incoming> {
        let which: Vec<u8> = parts
            .iter()
            .flat_map(|part| [part.from.to_be_bytes(), part.length.to_be_bytes()].concat())
            .collect();
        let which = Sha256::of(&which).short();
        self.incoming(&format!("{}.parts-{which}", content.sha256), size, None)
    }

    fn names(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.folder.join(name), self.folder.join(format!("{name}.partial")))
    }

    fn incoming(&mut self, name: &str, size: u64, sha256: Option<Sha256>) -> io::Result<Incoming> {
        self.make()?;
        let (path, partial) = self.names(name);
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&partial)?;
        let mut hasher = sha2::Sha256::new();
        let mut offset = feed(&mut file, &mut hasher)?;
        if offset > size {
            file.set_len(0)?;
            hasher = sha2::Sha256::new();
            offset = 0;
        }
        self.used.push(path.clone());
        Ok(Incoming { file, hasher, offset, size, sha256, partial, path })
    }

    /// Removes what the step that just ended has used.
    pub(super) fn release(&mut self) {
        for path in self.used.drain(..) {
            // Gone is what is wanted; a leftover is swept later.
            fs::remove_file(path).ok();
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.own {
            // Swept later if it cannot be removed now.
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

/// Content that is being received.
pub(super) struct Incoming {
    file: File,
    hasher: sha2::Sha256,
    offset: u64,
    size: u64,
    /// What it must be, where that is known of it as a whole.
    sha256: Option<Sha256>,
    partial: PathBuf,
    path: PathBuf,
}

impl Incoming {
    /// Returns how many bytes there are to be.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Returns how many bytes are here.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the file, to be read while it grows.
    pub(super) fn reader(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    pub(super) fn append(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = self.offset.saturating_add(bytes.len() as u64);
        if offset != self.offset || end > self.size || bytes.is_empty() {
            let why = format!("a chunk for offset {offset} came where {} was due", self.offset);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.offset = end;
        Ok(())
    }

    /// Verifies the digest, where there is one, and gives the file its name; wrong bytes are thrown away.
    pub(super) fn finish(self) -> io::Result<PathBuf> {
        let digest = Sha256::from_bytes(self.hasher.finalize().into());
        if self.sha256.is_some_and(|desired| desired != digest) {
            fs::remove_file(&self.partial)?;
            let why = format!("the bytes that came have the digest {digest}; they are thrown away");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        fs::rename(&self.partial, &self.path)?;
        Ok(self.path)
    }
}

fn feed(file: &mut File, hasher: &mut sha2::Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; 256 * 1024];
    let mut fed = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(fed),
            n => {
                hasher.update(buffer.get(..n).unwrap_or_default());
                fed += n as u64;
            }
        }
    }
}

/// Removes abandoned uploads.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(data) = entry.metadata() else { continue };
        let age = data.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_none_or(|age| age > KEEP) {
            let path = entry.path();
            // What cannot be removed now is tried again next time.
            if data.is_dir() {
                fs::remove_dir_all(path).ok()
            } else {
                fs::remove_file(path).ok()
            };
        }
    }
}
