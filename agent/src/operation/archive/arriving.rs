//! Unpacking while the archive arrives: what is written on the way is a head start, nothing more.
//!
//! A tar says everything in order, so all of it is done on the way. Of a zip the files are written as their own heads come by, and
//! their heads are trusted only where the directory at the archive's end agrees; files with another entry there, or
//! that were not written on the way, are unpacked from the whole archive, and files without an entry there void all the rest.

use std::io;
use std::io::{BufReader, Read};

use apim_protocol::operation::archive::Archive;
use flate2::bufread::DeflateDecoder;

use super::contents::{Entry, Names};
use crate::operation::support::arrival::Arriving;
use crate::system::{Cursor, Inside, Tree, TreeError};

/// Read ahead so much.
const READ_AHEAD: usize = 256 * 1024;

const HEAD: [u8; 4] = *b"PK\x03\x04";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
/// Sizes follow the data; the compression's level; names are UTF-8. Any other flag is handled when the whole archive is read.
const SIZES_FOLLOW: u16 = 1 << 3;
const KNOWN_FLAGS: u16 = SIZES_FOLLOW | 1 << 1 | 1 << 2 | UTF_8;
const UTF_8: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// A size that is recorded elsewhere.
const ELSEWHERE: u32 = u32::MAX;

/// The mode that a file gets until its own is read from the directory at the end.
pub(super) const FIRST_MODE: u32 = 0o644;

/// A file of a zip that was written on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Early {
    pub(super) path: Inside,
    /// Where its head stands.
    pub(super) offset: u64,
    pub(super) deflated: bool,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
}

/// Why the head start ends.
enum Stop {
    /// What comes next is not for here.
    Here,
    /// A file was left in pieces.
    Void,
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Here
    }
}

impl From<TreeError> for Stop {
    fn from(_: TreeError) -> Self {
        Self::Void
    }
}

/// Writes the files of a zip into `tree` as they come by, until all of it is here or something is unusual;
/// `None` when a file was left in pieces.
pub(super) fn unzip(archive: &Archive, from: Arriving<'_>, tree: &Tree) -> Option<Vec<Early>> {
    let mut walk = Walk {
        from: BufReader::with_capacity(READ_AHEAD, from),
        at: 0,
        names: Names::new(archive.strip_top, archive.max_entries),
        max_bytes: archive.max_bytes,
        cursor: Cursor::default(),
        tree,
    };
    let mut files = Vec::new();
    // Several threads unpack the rest of what is whole faster than this one.
    while !walk.from.get_ref().is_whole() {
        match walk.next() {
            Ok(file) => files.extend(file),
            Err(Stop::Here) => break,
            Err(Stop::Void) => return None,
        }
    }
    Some(files)
}

struct Walk<'a> {
    from: BufReader<Arriving<'a>>,
    /// How much was read.
    at: u64,
    names: Names,
    max_bytes: u64,
    cursor: Cursor,
    tree: &'a Tree,
}

/// What an entry's own head says.
struct Head {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u32,
    size: u32,
    name: Vec<u8>,
}

impl Walk<'_> {
    /// Takes the next entry; `None` for one that is not a file.
    fn next(&mut self) -> Result<Option<Early>, Stop> {
        let offset = self.at;
        let head = self.head()?;
        let sizes_follow = head.flags & SIZES_FOLLOW != 0;
        let usual = head.flags & !KNOWN_FLAGS == 0
            && (head.flags & UTF_8 != 0 || head.name.is_ascii())
            && match head.method {
                STORED => !sizes_follow && head.packed == head.size,
                DEFLATED => true,
                _ => false,
            }
            && head.packed != ELSEWHERE
            && head.size != ELSEWHERE;
        if !usual || self.tree.written().saturating_add(head.size.into()) > self.max_bytes {
            return Err(Stop::Here);
        }
        if head.name.ends_with(b"/") {
            // It is created once the directory at the end lists it, or with its first file.
            let empty = head.packed == 0 && !sizes_follow;
            let taken = self.names.add(&head.name, Entry::Folder(0o755));
            return if empty && taken.is_ok() { Ok(None) } else { Err(Stop::Here) };
        }
        let Ok(Some(path)) = self.names.add(&head.name, Entry::File) else { return Err(Stop::Here) };
        let file = self.file(&head, path, offset)?;
        let told = if sizes_follow { self.descriptor()? } else { (head.crc, head.packed, head.size) };
        if (file.crc, file.packed, file.size) != (told.0, told.1.into(), told.2.into()) {
            return Err(Stop::Void);
        }
        Ok(Some(file))
    }

    fn head(&mut self) -> Result<Head, Stop> {
        let mut fixed = [0; 30];
        self.read(&mut fixed)?;
        let short = |at: usize| u16::from_le_bytes([byte(&fixed, at), byte(&fixed, at + 1)]);
        let long = |at: usize| u32::from(short(at)) | u32::from(short(at + 2)) << 16;
        if !fixed.starts_with(&HEAD) {
            return Err(Stop::Here);
        }
        let (name, extra) = (usize::from(short(26)), usize::from(short(28)));
        let mut rest = vec![0; name + extra];
        self.read(&mut rest)?;
        rest.truncate(name);
        Ok(Head {
            flags: short(6),
            method: short(8),
            crc: long(14),
            packed: long(18),
            size: long(22),
            name: rest,
        })
    }

    fn file(&mut self, head: &Head, path: Inside, offset: u64) -> Result<Early, Stop> {
        let limit = if head.flags & SIZES_FOLLOW == 0 { head.packed.into() } else { u64::MAX };
        let mut packed = self.from.by_ref().take(limit);
        let (tree, cursor) = (self.tree, &mut self.cursor);
        let mut write = |from: &mut dyn Read| {
            let mut summed = Summed { from, crc: flate2::Crc::new(), size: 0 };
            tree.write_file(cursor, &path, FIRST_MODE, &mut summed)?;
            Ok::<_, TreeError>((summed.crc.sum(), summed.size))
        };
        let (crc, size) = match head.method {
            STORED => write(&mut packed)?,
            _ => write(&mut DeflateDecoder::new(&mut packed))?,
        };
        let read = limit - packed.limit();
        self.at += read;
        Ok(Early { path, offset, deflated: head.method == DEFLATED, crc, packed: read, size })
    }

    /// Returns what stands behind data whose sizes were not known before: sum, packed size, size.
    fn descriptor(&mut self) -> Result<(u32, u32, u32), Stop> {
        let mut told = [0; 16];
        // A descriptor that cannot be parsed leaves a file in doubt.
        self.read(&mut told).map_err(|_| Stop::Void)?;
        let long = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|n| byte(&told, at + n)));
        if told.starts_with(&DESCRIPTOR) { Ok((long(4), long(8), long(12))) } else { Err(Stop::Void) }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Stop> {
        self.from.read_exact(into)?;
        self.at += into.len() as u64;
        Ok(())
    }
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or_default()
}

/// Sums and counts what is read.
struct Summed<'a> {
    from: &'a mut dyn Read,
    crc: flate2::Crc,
    size: u64,
}

impl Read for Summed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(buffer)?;
        self.crc.update(buffer.get(..got).unwrap_or_default());
        self.size += got as u64;
        Ok(got)
    }
}
