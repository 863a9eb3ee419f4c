//! What exists at a path, and what is written there.

use std::path::Path;

use apim_protocol::value::FileMode;
use rustix::fs;
use rustix::fs::FileType;

use super::account::Ids;

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a socket, a pipe.
    Other,
}

impl Kind {
    /// Returns the kind in words, with its article.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a folder",
            Self::Link => "a symbolic link",
            Self::Other => "neither file nor folder nor link",
        }
    }
}

/// The entry at a path.
#[derive(Debug, Clone, Copy)]
pub struct Stat {
    /// Its kind.
    pub kind: Kind,
    /// Its mode.
    pub mode: FileMode,
    /// Its owner's number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
    /// Its length in bytes.
    pub size: u64,
    /// Its device and inode.
    pub id: (u64, u64),
    /// When something of it was changed last, in nanoseconds since 1970 by the host's clock.
    pub changed_nanos: i128,
}

impl Stat {
    pub(super) fn of(stat: &fs::Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        };
        Self {
            kind,
            mode: FileMode::new(stat.st_mode),
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            id: (stat.st_dev, stat.st_ino),
            changed_nanos: i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec),
        }
    }
}

/// Mode and owner that a written file shall have; what is `None` is kept, or the usual one for a new file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes {
    /// Its mode; a new file's is 0644, a new folder's 0755.
    pub mode: Option<FileMode>,
    /// Its owner.
    pub ids: Ids,
}

/// Where the bytes of a written file come from.
#[derive(Debug)]
pub enum Bytes<'a> {
    /// From memory.
    Memory(&'a [u8]),
    /// From a file of the agent, such as one in the spool.
    File(&'a Path),
}
