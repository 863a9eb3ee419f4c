//! Walking a path on open folders: no link of another account is followed, and nothing below `--root` leads out of it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use apim_protocol::value::AbsPath;
use rustix::fs;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::error::SystemError;
use super::host::{MAX_LINKS, System, parts};

/// A name in an open folder; the folder cannot be exchanged any more.
#[derive(Debug)]
pub(super) struct Place {
    dir: OwnedFd,
    pub(super) name: OsString,
    pub(super) shown: PathBuf,
}

/// Whether a link at the very end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Keep,
}

impl Place {
    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Returns the entry, without following a link.
    pub(super) fn stat(&self) -> Result<Option<fs::Stat>, SystemError> {
        match fs::statat(self.dir(), &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(SystemError::io("look at", &self.shown, error)),
        }
    }

    /// Makes the folder's present entries durable.
    pub(super) fn sync_dir(&self) -> Result<(), SystemError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::openat(self.dir(), ".", flags, Mode::empty())
            .and_then(fs::fsync)
            .map_err(|e| SystemError::io("make durable the folder of", &self.shown, e))
    }

    /// Returns the place of `name` in this folder.
    pub(super) fn sibling(&self, name: &OsStr) -> Result<Self, SystemError> {
        let dir = self.dir.try_clone().map_err(|e| SystemError::io("open the folder of", &self.shown, e))?;
        Ok(Self { dir, name: name.to_os_string(), shown: self.shown.with_file_name(name) })
    }

    /// Returns the place of `name` in the open folder `dir`, which is the one that this place names.
    pub(super) fn below(&self, dir: impl AsFd, name: &OsStr) -> std::io::Result<Self> {
        let dir = dir.as_fd().try_clone_to_owned()?;
        Ok(Self { dir, name: name.to_os_string(), shown: self.shown.join(name) })
    }
}

impl System {
    /// Returns the place that `path` names, or `None` when its folder does not exist.
    pub(super) fn place(&self, path: &AbsPath, last: Last) -> Result<Option<Place>, SystemError> {
        let shown = Path::new(path.as_str());
        let root = open_folder(rustix::fs::CWD, self.root().as_os_str())
            .map_err(|e| SystemError::io("open", self.root(), e))?;
        let mut folders = vec![root];
        let mut todo = parts(shown);
        let mut links = 0;
        while let Some(part) = todo.pop() {
            let name = part.into_os_string();
            if name == ".." {
                if folders.len() > 1 {
                    folders.pop();
                }
                continue;
            }
            let Some(dir) = folders.last() else { break };
            let at_end = todo.is_empty();
            if at_end && last == Last::Keep {
                return Ok(folders.pop().map(|dir| Place { dir, name, shown: shown.to_path_buf() }));
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = match fs::openat(dir, &name, flags, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(SystemError::io("walk", shown, error)),
            };
            let stat = fs::fstat(&next).map_err(|e| SystemError::io("look at", shown, e))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => folders.push(next),
                FileType::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(SystemError::LinkLoop { path: shown.to_path_buf() });
                    }
                    trust(&stat, shown)?;
                    let target = fs::readlinkat(&next, "", Vec::new())
                        .map_err(|e| SystemError::io("read the link", shown, e))?;
                    let target = PathBuf::from(OsStr::from_bytes(target.as_bytes()));
                    if target.is_absolute() {
                        folders.truncate(1);
                    }
                    todo.extend(parts(&target));
                }
                _ if at_end => {
                    return Ok(folders.pop().map(|dir| Place { dir, name, shown: shown.to_path_buf() }));
                }
                _ => {
                    return Err(SystemError::InTheWay {
                        path: shown.to_path_buf(),
                        found: format!("below `{}`, which is not a folder", Path::new(&name).display()),
                    });
                }
            }
        }
        Ok(folders.pop().map(|dir| Place { dir, name: OsString::from("."), shown: shown.to_path_buf() }))
    }
}

fn open_folder(at: impl AsFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    fs::openat(at, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Root's links and our own are trusted; another account could point its link anywhere.
fn trust(link: &fs::Stat, shown: &Path) -> Result<(), SystemError> {
    if link.st_uid == 0 || link.st_uid == geteuid().as_raw() {
        return Ok(());
    }
    Err(SystemError::ForeignLink { path: shown.to_path_buf(), uid: link.st_uid })
}
