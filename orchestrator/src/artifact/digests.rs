//! Digests of local files, remembered by path, size, times and inode, so that 400 MB are hashed once and not on every run.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use apim_protocol::value::Sha256;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// How many are remembered.
const MOST: usize = 1000;

/// What tells that a file is still the one that was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    device: u64,
    inode: u64,
    sha256: Sha256,
}

impl Seen {
    fn of(meta: &Metadata, sha256: Sha256) -> Self {
        Self {
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            device: meta.dev(),
            inode: meta.ino(),
            sha256,
        }
    }
}

/// The digests known so far.
#[derive(Debug)]
pub(super) struct Digests {
    file: PathBuf,
    known: Mutex<(BTreeMap<PathBuf, Seen>, bool)>,
}

impl Digests {
    /// Reads what the cache in `folder` remembers; a memory that cannot be read is an empty one.
    pub(super) fn load(folder: &Path) -> Self {
        let file = folder.join("digests.json");
        let known = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { file, known: Mutex::new((known.unwrap_or_default(), false)) }
    }

    /// Returns the digest and the length of a file.
    pub(super) fn of(&self, path: &Path) -> io::Result<(Sha256, u64)> {
        let mut file = File::open(path)?;
        let before = file.metadata()?;
        if !before.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let path = std::path::absolute(path)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).0.get(&path).cloned();
        if let Some(known) = known
            && known == Seen::of(&before, known.sha256)
        {
            return Ok((known.sha256, known.size));
        }
        let sha256 = hash(&mut file)?;
        if Seen::of(&file.metadata()?, sha256) != Seen::of(&before, sha256) {
            return Err(io::Error::other("it changes while it is read"));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.0.insert(path, Seen::of(&before, sha256));
        known.1 = true;
        Ok((sha256, before.size()))
    }

    /// Remembers for the next run. That it cannot costs time and nothing else.
    pub(super) fn save(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (map, is_new) = &mut *known;
        if !*is_new {
            return;
        }
        while map.len() > MOST {
            map.pop_first();
        }
        drop(write(&self.file, map));
    }
}

fn write(path: &Path, map: &BTreeMap<PathBuf, Seen>) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(map)?)?;
    file.persist(path)?;
    Ok(())
}

fn hash(file: &mut File) -> io::Result<Sha256> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Sha256::from_bytes(hasher.finalize().into())),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}
