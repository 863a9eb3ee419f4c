//! Reading files within bounds and writing them atomically: temporary file in the same folder, mode at creation, rename.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use apim_protocol::value::{AbsPath, FileMode, Sha256};
use rustix::fs;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::account::Ids;
use super::error::SystemError;
use super::host::System;
use super::stat::{Attributes, Bytes, Kind, Stat};
use super::walk::{Last, Place};

impl System {
    /// Returns the entry at `path` (a link itself, not its target), or `None`.
    ///
    /// # Errors
    /// When the path cannot be walked.
    pub fn stat(&self, path: &AbsPath) -> Result<Option<Stat>, SystemError> {
        match self.place(path, Last::Keep)? {
            Some(place) => Ok(place.stat()?.as_ref().map(Stat::of)),
            None => Ok(None),
        }
    }

    /// Returns the entry at the end of all (trusted) links at `path`, or `None`.
    ///
    /// # Errors
    /// When the path cannot be walked.
    pub fn stat_followed(&self, path: &AbsPath) -> Result<Option<Stat>, SystemError> {
        match self.place(path, Last::Follow)? {
            Some(place) => Ok(place.stat()?.as_ref().map(Stat::of)),
            None => Ok(None),
        }
    }

    /// Returns the bytes of the regular file at `path` (through trusted links), or `None` when there is nothing.
    ///
    /// # Errors
    /// When it is not a file, is larger than `limit` bytes, or cannot be read.
    pub fn read(&self, path: &AbsPath, limit: u64) -> Result<Option<Vec<u8>>, SystemError> {
        let Some(file) = self.open(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| SystemError::io("read", path.as_str(), e))?;
        if bytes.len() as u64 > limit {
            return Err(SystemError::TooLarge { path: PathBuf::from(path.as_str()), limit });
        }
        Ok(Some(bytes))
    }

    /// Opens the regular file at `path` for reading (through trusted links); `None` when there is nothing.
    ///
    /// # Errors
    /// When it is not a regular file or cannot be opened.
    pub fn open(&self, path: &AbsPath) -> Result<Option<File>, SystemError> {
        let Some(place) = self.place(path, Last::Follow)? else { return Ok(None) };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let fd = match fs::openat(place.dir(), &place.name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(SystemError::io("open", path.as_str(), error)),
        };
        let stat = fs::fstat(&fd).map_err(|e| SystemError::io("look at", path.as_str(), e))?;
        match Stat::of(&stat).kind {
            Kind::File => Ok(Some(File::from(fd))),
            kind => Err(in_the_way(path, kind)),
        }
    }

    /// Returns the digest of the file at `path`, or `None` when there is nothing.
    ///
    /// # Errors
    /// As [`System::open`].
    pub fn digest(&self, path: &AbsPath) -> Result<Option<Sha256>, SystemError> {
        match self.open(path)? {
            None => Ok(None),
            Some(mut file) => {
                Sha256::of_reader(&mut file).map(Some).map_err(|e| SystemError::io("read", path.as_str(), e))
            }
        }
    }

    /// Writes the file at `path` atomically; a link there is never followed, and nothing but a file is replaced.
    ///
    /// # Errors
    /// When the folder is missing, something else exists there, or the kernel refuses; the old file is then unchanged.
    pub fn write(&self, path: &AbsPath, bytes: &Bytes<'_>, desired: Attributes) -> Result<(), SystemError> {
        let place = self.place(path, Last::Keep)?.ok_or_else(|| missing_folder(path))?;
        let old = place.stat()?.as_ref().map(Stat::of);
        if let Some(old) = old
            && old.kind != Kind::File
        {
            return Err(in_the_way(path, old.kind));
        }
        let desired = Attributes {
            mode: Some(desired.mode.or(old.map(|old| old.mode)).unwrap_or(FileMode::new(0o644))),
            ids: Ids {
                uid: desired.ids.uid.or(old.map(|old| old.uid)),
                gid: desired.ids.gid.or(old.map(|old| old.gid)),
            },
        };
        let temporary = place.sibling(&temporary_name(&place))?;
        let label = old.and_then(|_| label(&place));
        let written = write_new(&temporary, bytes, desired, label.as_deref()).and_then(|()| {
            fs::renameat(temporary.dir(), &temporary.name, place.dir(), &place.name)
                .map_err(|e| SystemError::io("put into place", path.as_str(), e))
        });
        if written.is_err() {
            // The first error is the one to report.
            fs::unlinkat(temporary.dir(), &temporary.name, AtFlags::empty()).ok();
        }
        written?;
        place.sync_dir()
    }

    /// Sets mode and owner of the file at `path` (not through a link), as far as given.
    ///
    /// # Errors
    /// When nothing or a link exists there, or the kernel refuses.
    pub fn set_attributes(&self, path: &AbsPath, desired: Attributes) -> Result<(), SystemError> {
        self.set_at(path, Last::Keep, desired)
    }

    /// Sets mode and owner of the folder at `path` (through trusted links), as far as given.
    ///
    /// # Errors
    /// When nothing exists there, or the kernel refuses.
    pub fn set_folder_attributes(&self, path: &AbsPath, desired: Attributes) -> Result<(), SystemError> {
        self.set_at(path, Last::Follow, desired)
    }

    fn set_at(&self, path: &AbsPath, last: Last, desired: Attributes) -> Result<(), SystemError> {
        let place = self.place(path, last)?.ok_or_else(|| missing_folder(path))?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = fs::openat(place.dir(), &place.name, flags, Mode::empty())
            .map_err(|e| SystemError::io("open", path.as_str(), e))?;
        apply_attributes(&fd, desired).map_err(|e| SystemError::io("set mode and owner of", path.as_str(), e))
    }

    /// Makes a folder at `path`, whose parent must exist.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn make_directory(&self, path: &AbsPath, desired: Attributes) -> Result<(), SystemError> {
        let place = self.place(path, Last::Keep)?.ok_or_else(|| missing_folder(path))?;
        fs::mkdirat(place.dir(), &place.name, Mode::from_raw_mode(0o700))
            .map_err(|e| SystemError::io("make the folder", path.as_str(), e))?;
        let mode = Some(desired.mode.unwrap_or(FileMode::new(0o755)));
        self.set_attributes(path, Attributes { mode, ids: desired.ids })?;
        place.sync_dir()
    }

    /// Removes the file, link or empty folder at `path`, with all it holds when `recursive`; links are not followed.
    ///
    /// # Errors
    /// When the kernel refuses, such as for a folder that is not empty.
    pub fn remove(&self, path: &AbsPath, recursive: bool) -> Result<(), SystemError> {
        let Some(place) = self.place(path, Last::Keep)? else { return Ok(()) };
        if place.name == "." {
            return Err(in_the_way(path, Kind::Directory));
        }
        let Some(stat) = place.stat()?.as_ref().map(Stat::of) else { return Ok(()) };
        let removed = match (stat.kind, recursive) {
            (Kind::Directory, true) => remove_tree(place.dir(), &place.name),
            (Kind::Directory, false) => fs::unlinkat(place.dir(), &place.name, AtFlags::REMOVEDIR),
            _ => fs::unlinkat(place.dir(), &place.name, AtFlags::empty()),
        };
        removed.map_err(|e| SystemError::io("remove", path.as_str(), e))?;
        place.sync_dir()
    }

    /// Moves `from` to `to`, in one move; `to` must not exist. Both must be on one file system.
    ///
    /// # Errors
    /// When `to` exists, or the kernel refuses.
    pub fn rename_new(&self, from: &AbsPath, to: &AbsPath) -> Result<(), SystemError> {
        let old = self.place(from, Last::Keep)?.ok_or_else(|| missing_folder(from))?;
        let new = self.place(to, Last::Keep)?.ok_or_else(|| missing_folder(to))?;
        if let Some(stat) = new.stat()?.as_ref().map(Stat::of) {
            return Err(in_the_way(to, stat.kind));
        }
        fs::renameat_with(old.dir(), &old.name, new.dir(), &new.name, fs::RenameFlags::NOREPLACE)
            .or_else(|error| match error {
                // File systems without this flag: nothing stood there a moment ago.
                Errno::INVAL | Errno::NOSYS => fs::renameat(old.dir(), &old.name, new.dir(), &new.name),
                error => Err(error),
            })
            .map_err(|e| SystemError::io("put into place", to.as_str(), e))?;
        new.sync_dir()
    }

    /// Returns the names in the folder at `path` (through trusted links); none when there is no folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self, path: &AbsPath) -> Result<Vec<String>, SystemError> {
        let Some(place) = self.place(path, Last::Follow)? else { return Ok(Vec::new()) };
        let error = |e: Errno| SystemError::io("list", path.as_str(), e);
        if place.stat()?.is_none() {
            return Ok(Vec::new());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = fs::openat(place.dir(), &place.name, flags, Mode::empty()).map_err(error)?;
        let mut names = Vec::new();
        for entry in fs::Dir::new(fd).map_err(error)? {
            let name = entry.map_err(error)?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Returns the target text of the link at `path`; `None` when nothing is there.
    ///
    /// # Errors
    /// When something else than a link is there.
    pub fn link_target(&self, path: &AbsPath) -> Result<Option<PathBuf>, SystemError> {
        let Some(place) = self.place(path, Last::Keep)? else { return Ok(None) };
        match place.stat()?.as_ref().map(Stat::of) {
            None => Ok(None),
            Some(Stat { kind: Kind::Link, .. }) => {
                let text = fs::readlinkat(place.dir(), &place.name, Vec::new())
                    .map_err(|e| SystemError::io("read the link", path.as_str(), e))?;
                Ok(Some(PathBuf::from(OsString::from_vec(text.into_bytes()))))
            }
            Some(other) => Err(in_the_way(path, other.kind)),
        }
    }

    /// Puts a symbolic link to `target` at `path`, replacing a link there in one move.
    ///
    /// # Errors
    /// When something else than a link is there, or the kernel refuses.
    pub fn link(&self, path: &AbsPath, target: &Path) -> Result<(), SystemError> {
        let place = self.place(path, Last::Keep)?.ok_or_else(|| missing_folder(path))?;
        if let Some(old) = place.stat()?.as_ref().map(Stat::of)
            && old.kind != Kind::Link
        {
            return Err(in_the_way(path, old.kind));
        }
        let temporary = place.sibling(&temporary_name(&place))?;
        remove_leftover(&temporary)?;
        fs::symlinkat(target, temporary.dir(), &temporary.name)
            .and_then(|()| fs::renameat(temporary.dir(), &temporary.name, place.dir(), &place.name))
            .map_err(|e| SystemError::io("link", path.as_str(), e))?;
        place.sync_dir()
    }
}

pub(super) fn in_the_way(path: &AbsPath, kind: Kind) -> SystemError {
    SystemError::InTheWay { path: PathBuf::from(path.as_str()), found: kind.words().to_owned() }
}

pub(super) fn missing_folder(path: &AbsPath) -> SystemError {
    SystemError::io("find the folder of", path.as_str(), io::Error::from(io::ErrorKind::NotFound))
}

/// One fixed name a file: a leftover of a killed agent is replaced by the next write instead of staying for ever.
/// It is created exclusively, so a planted file or link is never written through.
pub(super) fn temporary_name(place: &Place) -> OsString {
    let name = place.name.to_string_lossy();
    let short: String = name.chars().take(60).collect();
    OsString::from(format!(".{short}.apim-deploy"))
}

/// Removes a folder and all it holds, never leaving it through a link.
pub(super) fn remove_tree(dir: impl std::os::fd::AsFd, name: &OsStr) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = fs::openat(&dir, name, flags, Mode::empty())?;
    for entry in fs::Dir::read_from(&folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        match fs::unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => remove_tree(&folder, name)?,
            Err(error) => return Err(error),
        }
    }
    fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
}

fn remove_leftover(place: &Place) -> Result<(), SystemError> {
    match fs::unlinkat(place.dir(), &place.name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(SystemError::io("remove", &place.shown, error)),
    }
}

/// The extended attribute that SELinux keeps its label in.
const LABEL: &str = "security.selinux";

/// Returns the security label of the file that is about to be replaced, where the host has such labels.
fn label(place: &Place) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let old = fs::openat(place.dir(), &place.name, flags, Mode::empty()).ok()?;
    let mut label = vec![0; 256];
    let length = fs::fgetxattr(old, LABEL, label.as_mut_slice()).ok()?;
    label.truncate(length);
    Some(label)
}

fn write_new(
    place: &Place,
    bytes: &Bytes<'_>,
    desired: Attributes,
    label: Option<&[u8]>,
) -> Result<(), SystemError> {
    remove_leftover(place)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = fs::openat(place.dir(), &place.name, flags, Mode::from_raw_mode(0o600))
        .map_err(|e| SystemError::io("create", &place.shown, e))?;
    let mut file = File::from(fd);
    if let Some(label) = label {
        // Without it the file has the label of new files in this folder: usable, and put right by the host's own tools.
        fs::fsetxattr(&file, LABEL, label, fs::XattrFlags::empty()).ok();
    }
    match bytes {
        Bytes::Memory(bytes) => file.write_all(bytes),
        Bytes::File(from) => File::open(from).and_then(|mut from| io::copy(&mut from, &mut file)).map(drop),
    }
    .and_then(|()| apply_attributes(&file, desired))
    .and_then(|()| file.sync_all())
    .map_err(|e| SystemError::io("write", &place.shown, e))
}

/// Owner first: changing it may clear bits of the mode.
pub(super) fn apply_attributes(fd: impl std::os::fd::AsFd, desired: Attributes) -> io::Result<()> {
    let now = fs::fstat(&fd)?;
    let uid = desired.ids.uid.filter(|uid| *uid != now.st_uid).map(Uid::from_raw);
    let gid = desired.ids.gid.filter(|gid| *gid != now.st_gid).map(Gid::from_raw);
    if uid.is_some() || gid.is_some() {
        fs::fchown(&fd, uid, gid)?;
    }
    if let Some(mode) = desired.mode {
        fs::fchmod(&fd, Mode::from_raw_mode(mode.bits()))?;
    }
    Ok(())
}
