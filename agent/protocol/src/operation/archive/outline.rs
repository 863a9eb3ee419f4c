//! The outline of a zip: its own directory, and where the bytes of each file stand with the digest of what they unpack to.
//!
//! It contains names, modes and sizes of everything in the zip. With it a host finds by hashing which files it already has, and can
//! verify every file by itself. It is made where the whole zip is, once, and trusted as far as its own digest holds.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use ::zip::ZipArchive;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::part::Part;
use crate::value::Sha256;

/// The version of the format; an outline of another version is created again.
pub const FORM: &str = "1";

/// A zip with more files has no outline.
const MAX_FILES: usize = 200_000;
/// Nor has one with a longer directory, in bytes.
const MAX_DIRECTORY: u64 = 32 * 1024 * 1024;
/// Bytes of one file in an outline: where it begins, how long it is, the digest.
const ROW: usize = 8 + 8 + 32;

/// The outline of a zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Where the directory begins, which goes on to the zip's end.
    pub directory_at: u64,
    /// The directory itself.
    pub directory: Arc<[u8]>,
    /// The files, by where their heads stand.
    pub files: BTreeMap<u64, Outlined>,
}

/// One file of a zip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlined {
    /// All of its bytes in the zip: head, data, and what stands behind it.
    pub part: Part,
    /// What it unpacks to.
    pub sha256: Sha256,
}

impl Outline {
    /// Makes the outline of the zip at `path`, reading all of it; `None` for one that is unusual (links, passwords, names that
    /// come twice, bytes before its beginning, entries over each other), which is then sent whole.
    ///
    /// # Errors
    /// When it cannot be read or is not a zip.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut zip = ZipArchive::new(BufReader::with_capacity(64 * 1024, file))?;
        let directory_at = zip.central_directory_start();
        let unusual = zip.offset() != 0
            || zip.len() > MAX_FILES
            || length.saturating_sub(directory_at) > MAX_DIRECTORY
            || zip.has_duplicate_names()
            || zip.has_overlapping_entries()?;
        if unusual {
            return Ok(None);
        }
        let mut heads = Vec::with_capacity(zip.len());
        for index in 0..zip.len() {
            let entry = zip.by_index_data(index)?;
            if entry.encrypted() || entry.is_symlink() {
                return Ok(None);
            }
            heads.push((entry.header_start(), index, entry.is_dir()));
        }
        heads.sort_unstable();
        let mut files = BTreeMap::new();
        let ends = heads.iter().skip(1).map(|(start, ..)| *start).chain([directory_at]);
        for ((from, index, is_folder), end) in heads.iter().zip(ends) {
            let Some(length) = end.checked_sub(*from) else { return Ok(None) };
            if !is_folder {
                let sha256 = Sha256::of_reader(&mut zip.by_index(*index)?)?;
                files.insert(*from, Outlined { part: Part { from: *from, length }, sha256 });
            }
        }
        let mut file = zip.into_inner().into_inner();
        file.seek(SeekFrom::Start(directory_at))?;
        let mut directory = Vec::new();
        file.take(MAX_DIRECTORY).read_to_end(&mut directory)?;
        Ok(Some(Self { directory_at, directory: directory.into(), files }))
    }

    /// Returns the outline as bytes, compressed.
    ///
    /// # Errors
    /// Never in practice: it is written to memory.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut to = DeflateEncoder::new(Vec::new(), Compression::default());
        to.write_all(&self.directory_at.to_be_bytes())?;
        to.write_all(&(self.files.len() as u64).to_be_bytes())?;
        for Outlined { part, sha256 } in self.files.values() {
            to.write_all(&part.from.to_be_bytes())?;
            to.write_all(&part.length.to_be_bytes())?;
            to.write_all(sha256.as_bytes())?;
        }
        to.write_all(&self.directory)?;
        to.finish()
    }

    /// Reads an outline back.
    ///
    /// # Errors
    /// When it is none, or larger than any is.
    pub fn read(from: impl Read) -> io::Result<Self> {
        let nonsense = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let mut from = DeflateDecoder::new(from);
        let directory_at = number(&mut from)?;
        let count = number(&mut from)?;
        if count > MAX_FILES as u64 {
            return Err(nonsense("an outline of too many files"));
        }
        let mut files = BTreeMap::new();
        for _ in 0..count {
            let part = Part { from: number(&mut from)?, length: number(&mut from)? };
            let mut sha256 = [0; 32];
            from.read_exact(&mut sha256)?;
            if part.end().is_none_or(|end| end > directory_at) {
                return Err(nonsense("an outline of a file that lies outside its zip"));
            }
            files.insert(part.from, Outlined { part, sha256: Sha256::from_bytes(sha256) });
        }
        let mut directory = Vec::new();
        from.take(MAX_DIRECTORY + 1).read_to_end(&mut directory)?;
        if directory.len() as u64 > MAX_DIRECTORY {
            return Err(nonsense("an outline with too long a directory"));
        }
        Ok(Self { directory_at, directory: directory.into(), files })
    }

    /// Returns how long the zip is, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.directory_at.saturating_add(self.directory.len() as u64)
    }
}

/// The most bytes that an outline has when it is written.
pub const MAX_BYTES: u64 = MAX_DIRECTORY + (MAX_FILES * ROW) as u64 + 1024;

fn number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}
