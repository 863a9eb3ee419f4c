//! Copying a file or a folder with all it holds on the host, in one move at the end: links are never followed, nothing is shared.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use apim_protocol::value::AbsPath;
use rustix::fs;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;

use super::account::Ids;
use super::error::SystemError;
use super::file::{apply_attributes, missing_folder, remove_tree, temporary_name};
use super::host::System;
use super::stat::{Attributes, Kind, Stat};
use super::walk::{Last, Place};

/// Folders nested deeper than this are refused.
const MAX_DEPTH: usize = 64;

/// How much may yet be copied.
#[derive(Debug)]
pub struct Allowance {
    /// Bytes.
    pub bytes: u64,
    /// Files, folders and links.
    pub entries: u64,
}

impl System {
    /// Copies `from` to `to`, with owners and modes; an existing `to` is replaced in one move, once the copy is complete and
    /// durable. Links are copied as links; devices, sockets and pipes are left out.
    ///
    /// # Errors
    /// When more would be copied than `allowance` has left, or the kernel refuses; what stood at `to` is then as it was.
    pub fn copy(&self, from: &AbsPath, to: &AbsPath, allowance: &mut Allowance) -> Result<(), SystemError> {
        let source = self.place(from, Last::Keep)?.ok_or_else(|| missing_folder(from))?;
        let target = self.place(to, Last::Keep)?.ok_or_else(|| missing_folder(to))?;
        let beside = target.sibling(&temporary_name(&target))?;
        let failed = |error: io::Error| SystemError::io("copy", from.as_str(), error);
        clear(&beside).map_err(failed)?;
        let copied = copy_entry(&source, &beside, allowance, 0)
            .and_then(|()| Ok(fs::syncfs(open_folder(&beside)?)?))
            .and_then(|()| put(&beside, &target));
        // What is left of a copy that failed, or what the copy replaced.
        let cleared = clear(&beside);
        copied.and(cleared).map_err(failed)?;
        target.sync_dir()
    }
}

fn open_folder(place: &Place) -> io::Result<std::os::fd::OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(fs::openat(place.dir(), ".", flags, Mode::empty())?)
}

/// Moves `beside` to `target`; a former `target` may be left at `beside`.
fn put(beside: &Place, target: &Place) -> io::Result<()> {
    let is_there = target.stat().map_err(io::Error::other)?.is_some();
    if !is_there {
        return Ok(fs::renameat(beside.dir(), &beside.name, target.dir(), &target.name)?);
    }
    let both = (beside.dir(), &beside.name, target.dir(), &target.name);
    match fs::renameat_with(both.0, both.1, both.2, both.3, RenameFlags::EXCHANGE) {
        // File systems without this flag.
        Err(Errno::INVAL | Errno::NOSYS) => {
            clear(target)?;
            Ok(fs::renameat(both.0, both.1, both.2, both.3)?)
        }
        done => Ok(done?),
    }
}

fn clear(place: &Place) -> io::Result<()> {
    match place.stat().map_err(io::Error::other)?.as_ref().map(Stat::of) {
        None => Ok(()),
        Some(Stat { kind: Kind::Directory, .. }) => Ok(remove_tree(place.dir(), &place.name)?),
        Some(_) => Ok(fs::unlinkat(place.dir(), &place.name, AtFlags::empty())?),
    }
}

fn copy_entry(source: &Place, target: &Place, allowance: &mut Allowance, depth: usize) -> io::Result<()> {
    let Some(stat) = source.stat().map_err(io::Error::other)?.as_ref().map(Stat::of) else { return Ok(()) };
    let too_much = || io::Error::other("it holds more than is copied");
    allowance.entries = allowance.entries.checked_sub(1).ok_or_else(too_much)?;
    if depth > MAX_DEPTH {
        return Err(too_much());
    }
    let desired = Attributes { mode: Some(stat.mode), ids: Ids { uid: Some(stat.uid), gid: Some(stat.gid) } };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match stat.kind {
        Kind::File => {
            let from = File::from(fs::openat(source.dir(), &source.name, flags, Mode::empty())?);
            let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(0o600);
            let mut to = File::from(fs::openat(target.dir(), &target.name, new, mode)?);
            let copied = io::copy(&mut from.take(allowance.bytes.saturating_add(1)), &mut to)?;
            allowance.bytes = allowance.bytes.checked_sub(copied).ok_or_else(too_much)?;
            apply_attributes(&to, desired)
        }
        Kind::Directory => {
            fs::mkdirat(target.dir(), &target.name, Mode::from_raw_mode(0o700))?;
            let folder = OFlags::DIRECTORY | flags;
            let from = fs::openat(source.dir(), &source.name, folder, Mode::empty())?;
            let to = fs::openat(target.dir(), &target.name, folder, Mode::empty())?;
            for entry in fs::Dir::read_from(&from)? {
                let entry = entry?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name != "." && name != ".." {
                    let (from, to) = (source.below(&from, name)?, target.below(&to, name)?);
                    copy_entry(&from, &to, allowance, depth + 1)?;
                }
            }
            apply_attributes(to.as_fd(), desired)
        }
        Kind::Link => {
            let text = fs::readlinkat(source.dir(), &source.name, Vec::new())?;
            fs::symlinkat(text, target.dir(), &target.name)?;
            let owner = (Some(Uid::from_raw(stat.uid)), Some(Gid::from_raw(stat.gid)));
            let now = target.stat().map_err(io::Error::other)?.as_ref().map(Stat::of);
            if now.is_some_and(|now| (now.uid, now.gid) != (stat.uid, stat.gid)) {
                fs::chownat(target.dir(), &target.name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            Ok(())
        }
        Kind::Other => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;

    fn world() -> (tempfile::TempDir, System) {
        let folder = tempfile::tempdir().unwrap();
        let system = System::new(Some(folder.path().to_owned()), None).unwrap();
        std::fs::create_dir_all(folder.path().join("old/data/deep")).unwrap();
        std::fs::create_dir_all(folder.path().join("new/data/shipped")).unwrap();
        std::fs::write(folder.path().join("old/data/deep/index"), "theirs").unwrap();
        std::fs::set_permissions(folder.path().join("old/data/deep/index"), PermissionsExt::from_mode(0o640))
            .unwrap();
        symlink("/etc/passwd", folder.path().join("old/data/link")).unwrap();
        (folder, system)
    }

    fn path(text: &str) -> AbsPath {
        AbsPath::parse(text).unwrap()
    }

    #[test]
    fn a_folder_is_copied_whole_and_takes_the_place_of_the_one_there() {
        let (folder, system) = world();
        let mut allowance = Allowance { bytes: 6, entries: 4 };
        system.copy(&path("/old/data"), &path("/new/data"), &mut allowance).unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(std::fs::read_to_string(at("new/data/deep/index")).unwrap(), "theirs");
        let mode = std::fs::metadata(at("new/data/deep/index")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640);
        assert_eq!(std::fs::read_link(at("new/data/link")).unwrap(), PathBuf::from("/etc/passwd"));
        assert!(!at("new/data/shipped").exists() && at("old/data/deep/index").exists());
        assert_eq!((allowance.bytes, allowance.entries), (0, 0));
        assert_eq!(std::fs::read_dir(at("new")).unwrap().count(), 1, "nothing is left");
    }

    #[test]
    fn what_holds_more_than_allowed_is_not_copied_and_what_is_there_stays() {
        for allowance in [Allowance { bytes: 5, entries: 9 }, Allowance { bytes: 9, entries: 3 }] {
            let (folder, system) = world();
            let mut allowance = allowance;
            assert!(system.copy(&path("/old/data"), &path("/new/data"), &mut allowance).is_err());
            assert!(folder.path().join("new/data/shipped").exists());
            assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_leftover_of_a_killed_agent_is_in_nobodys_way() {
        let (folder, system) = world();
        std::fs::create_dir_all(folder.path().join("new/.data.apim-deploy/half")).unwrap();
        let mut allowance = Allowance { bytes: 100, entries: 100 };
        system.copy(&path("/old/data"), &path("/new/data"), &mut allowance).unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
        assert!(!folder.path().join("new/data/half").exists());
    }
}
