//! Filling a new folder from an untrusted archive: everything stays inside, nothing is written twice.
//!
//! Every name is walked from the folder itself on open folders, links are never followed, and symbolic links are made last, so that
//! nothing can be written through one. Reading archives is not here.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use apim_protocol::value::{AbsPath, FileMode};
use rustix::fs;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::account::Ids;
use super::error::SystemError;
use super::file::{apply_attributes, missing_folder};
use super::host::System;
use super::stat::Attributes;
use super::walk::Last;

/// A relative path inside a tree: names only, no `..`, nothing absolute, bounded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inside(PathBuf);

/// Longest path inside a tree, and its deepest.
const MAX_PATH: usize = 1024;
const MAX_DEPTH: usize = 64;
const MAX_NAME: usize = 255;

impl Inside {
    /// Returns the path for the name that an archive gives; `None` for the folder itself (`./`).
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(name: &[u8]) -> Result<Option<Self>, &'static str> {
        let text = std::str::from_utf8(name).map_err(|_| "is not UTF-8")?;
        if text.starts_with('/') {
            return Err("is absolute");
        }
        if text.len() > MAX_PATH {
            return Err("is longer than 1,024 bytes");
        }
        if text.chars().any(char::is_control) {
            return Err("holds control characters");
        }
        let mut path = PathBuf::new();
        let mut depth = 0;
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err("holds `..`"),
                part if part.len() > MAX_NAME => return Err("holds a name longer than 255 bytes"),
                part => {
                    path.push(part);
                    depth += 1;
                }
            }
        }
        match depth {
            0 => Ok(None),
            depth if depth > MAX_DEPTH => Err("is nested too deeply"),
            _ => Ok(Some(Self(path))),
        }
    }

    /// Returns the path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Returns the first name, and the path below it (`None` when there is nothing below).
    #[must_use]
    pub fn split_top(&self) -> (&OsStr, Option<Self>) {
        let mut parts = self.0.iter();
        let top = parts.next().unwrap_or_default();
        let rest = parts.as_path();
        (top, (!rest.as_os_str().is_empty()).then(|| Self(rest.to_path_buf())))
    }

    /// Says whether a symbolic link here to `target` stays inside, whatever links are on its path.
    ///
    /// `..` is allowed at the beginning only, and no more often than there are real folders above the link: behind a name, which
    /// may itself be a link, `..` would lead to places that the text does not show.
    #[must_use]
    pub fn holds_link(&self, target: &str) -> bool {
        if target.is_empty()
            || target.len() > MAX_PATH
            || target.starts_with('/')
            || target.chars().any(char::is_control)
        {
            return false;
        }
        let mut up = self.0.iter().count().saturating_sub(1);
        let mut named = false;
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." if named || up == 0 => return false,
                ".." => up -= 1,
                _ => named = true,
            }
        }
        true
    }
}

/// Why a thing could not be put into a tree.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Two entries have the same name, or one is both folder and file.
    #[error("the archive holds `{0}` twice")]
    Twice(PathBuf),
    /// More bytes than allowed.
    #[error("the archive holds more than {0} bytes")]
    TooMuch(u64),
    /// The kernel refused, or the archive could not be read.
    #[error("cannot unpack `{path}`")]
    Io {
        /// What was being unpacked.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A new folder that is being filled; several threads may do so at once.
#[derive(Debug)]
pub struct Tree {
    top: OwnedFd,
    ids: Ids,
    max_bytes: u64,
    written: AtomicU64,
}

impl System {
    /// Makes the folder `path` (which must not exist) and returns it to be filled; no other account can enter it until
    /// [`Tree::finish`].
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new_tree(&self, path: &AbsPath, ids: Ids, max_bytes: u64) -> Result<Tree, SystemError> {
        let place = self.place(path, Last::Keep)?.ok_or_else(|| missing_folder(path))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let top = fs::mkdirat(place.dir(), &place.name, Mode::from_raw_mode(0o700))
            .and_then(|()| fs::openat(place.dir(), &place.name, flags, Mode::empty()))
            .map_err(|e| SystemError::io("make the folder", path.as_str(), e))?;
        Ok(Tree { top, ids, max_bytes, written: AtomicU64::new(0) })
    }
}

/// The folders that one thread has open, so that files of one folder are made without walking to it each time.
#[derive(Debug)]
pub struct Cursor {
    open: HashMap<PathBuf, OwnedFd>,
    buffer: Vec<u8>,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { open: HashMap::new(), buffer: vec![0; 256 * 1024] }
    }
}

impl Tree {
    /// Returns how many bytes were written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn failed<T>(path: &Path, result: Result<T, impl Into<io::Error>>) -> Result<T, TreeError> {
        result.map_err(|source| match source.into() {
            source if source.kind() == io::ErrorKind::AlreadyExists => TreeError::Twice(path.to_path_buf()),
            source => TreeError::Io { path: path.to_path_buf(), source },
        })
    }

    /// Opens (and makes, as far as missing) the folder `path`.
    fn folder(&self, path: &Path) -> Result<OwnedFd, TreeError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut folder = Self::failed(path, self.top.try_clone())?;
        for name in path {
            match fs::mkdirat(&folder, name, Mode::from_raw_mode(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Self::failed(path, Err(error)),
            }
            folder = match fs::openat(&folder, name, flags, Mode::empty()) {
                Ok(folder) => folder,
                Err(Errno::NOTDIR | Errno::LOOP) => return Err(TreeError::Twice(path.to_path_buf())),
                Err(error) => return Self::failed(path, Err(error)),
            };
        }
        Ok(folder)
    }

    /// Makes the folder `path` and those above it.
    ///
    /// # Errors
    /// When a file is in the way.
    pub fn make_folder(&self, path: &Inside) -> Result<(), TreeError> {
        self.folder(path.as_path()).map(drop)
    }

    /// Writes a new file with what `from` holds.
    ///
    /// # Errors
    /// When something exists there, the cap is exceeded, or reading or writing fails.
    pub fn write_file(
        &self,
        cursor: &mut Cursor,
        path: &Inside,
        mode: u32,
        from: &mut dyn Read,
    ) -> Result<(), TreeError> {
        let shown = path.as_path();
        let (parent, name) = (shown.parent().unwrap_or(Path::new("")), shown.file_name().unwrap_or_default());
        if cursor.open.len() > 64 {
            cursor.open.clear();
        }
        if !cursor.open.contains_key(parent) {
            cursor.open.insert(parent.to_path_buf(), self.folder(parent)?);
        }
        let Cursor { open, buffer } = cursor;
        let Some(folder) = open.get(parent) else { return Ok(()) };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file =
            File::from(Self::failed(shown, fs::openat(folder, name, flags, Mode::from_raw_mode(0o600)))?);
        loop {
            let got = match from.read(buffer) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Self::failed(shown, Err(error)),
            };
            let before = self.written.fetch_add(got as u64, Ordering::Relaxed);
            if before.saturating_add(got as u64) > self.max_bytes {
                return Err(TreeError::TooMuch(self.max_bytes));
            }
            Self::failed(shown, file.write_all(buffer.get(..got).unwrap_or_default()))?;
        }
        // Our own account must be able to read it back, whatever the archive says.
        let mode = Some(FileMode::new((mode & 0o777) | 0o600));
        Self::failed(shown, apply_attributes(&file, Attributes { mode, ids: self.ids }))
    }

    /// Gives the file `path`, which was written with the mode `had`, the mode `mode`.
    ///
    /// # Errors
    /// When it is not a file created before.
    pub fn give_mode(&self, path: &Inside, mode: u32, had: u32) -> Result<(), TreeError> {
        let desired = |mode: u32| (mode & 0o777) | 0o600;
        if desired(mode) == desired(had) {
            return Ok(());
        }
        let shown = path.as_path();
        let folder = self.folder(shown.parent().unwrap_or(Path::new("")))?;
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = shown.file_name().unwrap_or_default();
        let file = Self::failed(shown, fs::openat(&folder, name, flags, Mode::empty()))?;
        let mode = Some(FileMode::new(desired(mode)));
        Self::failed(shown, apply_attributes(file, Attributes { mode, ..Attributes::default() }))
    }

    /// Removes the file `path`.
    ///
    /// # Errors
    /// When it is not a file created before.
    pub fn remove_file(&self, path: &Inside) -> Result<(), TreeError> {
        let shown = path.as_path();
        let folder = self.folder(shown.parent().unwrap_or(Path::new("")))?;
        let name = shown.file_name().unwrap_or_default();
        Self::failed(shown, fs::unlinkat(folder, name, AtFlags::empty()))
    }

    /// Gives the file `old` the second name `path`.
    ///
    /// # Errors
    /// When `old` is not a file created before, or `path` exists.
    pub fn hard_link(&self, old: &Inside, path: &Inside) -> Result<(), TreeError> {
        let shown = path.as_path();
        let from = self.folder(old.as_path().parent().unwrap_or(Path::new("")))?;
        let to = self.folder(shown.parent().unwrap_or(Path::new("")))?;
        let (old, new) =
            (old.as_path().file_name().unwrap_or_default(), shown.file_name().unwrap_or_default());
        Self::failed(shown, fs::linkat(from, old, to, new, AtFlags::empty()))
    }

    /// Makes the symbolic links, then gives the folders their modes and owner; after that the tree is whole.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn finish(
        &self,
        links: &BTreeMap<Inside, String>,
        folders: &BTreeMap<Inside, u32>,
        top_mode: u32,
    ) -> Result<(), TreeError> {
        let (uid, gid) = (self.ids.uid.map(Uid::from_raw), self.ids.gid.map(Gid::from_raw));
        for (path, target) in links {
            let shown = path.as_path();
            let folder = self.folder(shown.parent().unwrap_or(Path::new("")))?;
            let name = shown.file_name().unwrap_or_default();
            Self::failed(shown, fs::symlinkat(target.as_str(), &folder, name))?;
            if uid.is_some() || gid.is_some() {
                Self::failed(shown, fs::chownat(&folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))?;
            }
        }
        // Deepest first: a folder's own mode may close it.
        for (path, mode) in folders.iter().rev() {
            let folder = self.folder(path.as_path())?;
            self.close(path.as_path(), &folder, *mode)?;
        }
        self.close(Path::new("."), &self.top, top_mode)?;
        Self::failed(Path::new("."), fs::syncfs(&self.top))
    }

    fn close(&self, path: &Path, folder: impl AsFd, mode: u32) -> Result<(), TreeError> {
        let mode = Some(FileMode::new((mode & 0o777) | 0o700));
        Self::failed(path, apply_attributes(folder, Attributes { mode, ids: self.ids }))
    }
}
