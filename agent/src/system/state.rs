//! What the agent keeps between runs, in its state folder: small JSON files, replaced atomically, readable by their owner only.
//!
//! Also kept: the digest of what the agent last wrote at each path, to recognize manual edits.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use apim_protocol::value::{AbsPath, Sha256};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::SystemError;

const WRITTEN: &str = "written.json";
/// A state file is read up to this size.
const LIMIT: u64 = 16 * 1024 * 1024;

/// The state folder.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
}

/// What we wrote at a path: the last digest, and while a write is under way the one before it too.
type Written = BTreeMap<AbsPath, Vec<Sha256>>;

impl State {
    /// Opens (and makes) the state folder.
    pub(super) fn open(folder: PathBuf) -> Result<Self, SystemError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&folder)
            .map_err(|e| SystemError::io("make the state folder", &folder, e))?;
        Ok(Self { folder })
    }

    /// Returns the state folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns what the file `name` (such as `units/x.json`) holds, or `None` when there is no such file.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SystemError> {
        let path = self.folder.join(name);
        match fs::metadata(&path) {
            Ok(data) if data.len() > LIMIT => return Err(SystemError::TooLarge { path, limit: LIMIT }),
            _ => {}
        }
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SystemError::io("read", &path, error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|source| SystemError::State { path, source })
    }

    /// Replaces the file `name` (such as `units/x.json`) with `value`; survives a crash of the agent at any moment.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), SystemError> {
        let path = self.folder.join(name);
        let text = serde_json::to_vec_pretty(value)
            .map_err(|source| SystemError::State { path: path.clone(), source })?;
        self.replace(&path, &text, true).map_err(|e| SystemError::io("write", &path, e))
    }

    /// Removes the file `name`; nothing happens when there is none.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), SystemError> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(SystemError::io("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    fn replace(&self, path: &Path, text: &[u8], durable: bool) -> std::io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        drop(fs::remove_file(&temporary));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text)?;
        if durable {
            file.sync_data()?;
        }
        fs::rename(&temporary, path)
    }

    /// Notes that a write of `digest` at `path` begins: until [`State::note_written`], the old and the new content are both ours.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn note_writing(&self, path: &AbsPath, digest: Sha256) -> Result<(), SystemError> {
        let mut written = self.written()?;
        let ours = written.entry(path.clone()).or_default();
        ours.truncate(1);
        ours.insert(0, digest);
        self.write_digests(&written)
    }

    /// Notes that `path` now holds `digest`, by our hand.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn note_written(&self, path: &AbsPath, digest: Sha256) -> Result<(), SystemError> {
        let mut written = self.written()?;
        if written.insert(path.clone(), vec![digest]) == Some(vec![digest]) {
            return Ok(());
        }
        self.write_digests(&written)
    }

    /// Says whether what was `found` at `path` is what we wrote there.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn is_ours(&self, path: &AbsPath, found: Sha256) -> Result<bool, SystemError> {
        Ok(self.written()?.get(path).is_some_and(|ours| ours.contains(&found)))
    }

    /// Says whether `found` at `path` is a manual edit of what the agent wrote there.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn is_foreign_edit(&self, path: &AbsPath, found: Sha256) -> Result<bool, SystemError> {
        Ok(self.written()?.get(path).is_some_and(|ours| !ours.contains(&found)))
    }

    /// Survives a crash of the agent; not waited for on disk, as it is written twice with every file: when power fails, what is
    /// lost is only the knowledge that an edit was not ours.
    fn write_digests(&self, written: &Written) -> Result<(), SystemError> {
        let path = self.folder.join(WRITTEN);
        let text = serde_json::to_vec(written)
            .map_err(|source| SystemError::State { path: path.clone(), source })?;
        self.replace(&path, &text, false).map_err(|e| SystemError::io("write", &path, e))
    }

    fn written(&self) -> Result<Written, SystemError> {
        match self.read(WRITTEN) {
            Ok(written) => Ok(written.unwrap_or_default()),
            // Torn by a power failure.
            Err(SystemError::State { .. }) => Ok(Written::new()),
            Err(error) => Err(error),
        }
    }
}
