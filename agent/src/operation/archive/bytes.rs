//! Where the bytes of a zip are: in one file, or its directory in memory and parts of the rest one behind the other in a file.

use std::fs::File;
use std::io;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::zip::ZipArchive;
use apim_protocol::operation::archive::outline::Outline;
use apim_protocol::operation::archive::part::Part;

use super::contents::UnpackError;

/// Read ahead so much: heads of entries are small, and what is inflated is read in larger pieces anyway.
const READ_AHEAD: usize = 8 * 1024;

/// A zip that can be opened several times at once.
#[derive(Debug, Clone)]
pub(super) enum ZipBytes {
    /// All of it.
    Whole(PathBuf),
    /// Of the rest, only what was asked for.
    Parts(Arc<Outline>, Option<Gathered>),
}

/// Parts of a zip in a file.
#[derive(Debug, Clone)]
pub(super) struct Gathered {
    file: PathBuf,
    /// Each with its place in the file.
    parts: Arc<[(Part, u64)]>,
}

impl Gathered {
    /// `file` holds `parts`, which are in order, one behind the other.
    pub(super) fn new(file: &Path, parts: &[Part]) -> Self {
        let mut at = 0;
        let placed = parts.iter().map(|part| {
            let place = at;
            at += part.length;
            (*part, place)
        });
        Self { file: file.to_owned(), parts: placed.collect() }
    }
}

/// A zip that is open.
pub(super) type Zip = ZipArchive<BufReader<Reader>>;

impl ZipBytes {
    pub(super) fn open(&self) -> Result<Zip, UnpackError> {
        let reader = Reader::new(self).map_err(UnpackError::read)?;
        ZipArchive::new(BufReader::with_capacity(READ_AHEAD, reader)).map_err(UnpackError::read)
    }

    /// Says whether all of it is here.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }
}

/// Reads a zip; what is not here is read as zeros.
#[derive(Debug)]
pub(super) struct Reader {
    bytes: ZipBytes,
    file: Option<File>,
    size: u64,
    at: u64,
}

impl Reader {
    fn new(bytes: &ZipBytes) -> io::Result<Self> {
        let file = match bytes {
            ZipBytes::Whole(path) => Some(File::open(path)?),
            ZipBytes::Parts(_, gathered) => {
                gathered.as_ref().map(|gathered| File::open(&gathered.file)).transpose()?
            }
        };
        let size = match (bytes, &file) {
            (ZipBytes::Parts(outline, _), _) => outline.size(),
            (ZipBytes::Whole(_), Some(file)) => file.metadata()?.len(),
            (ZipBytes::Whole(_), None) => 0,
        };
        Ok(Self { bytes: bytes.clone(), file, size, at: 0 })
    }

    fn read_here(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (at, most) = match &self.bytes {
            ZipBytes::Whole(_) => (self.at, u64::MAX),
            ZipBytes::Parts(outline, _) if self.at >= outline.directory_at => {
                let from = usize::try_from(self.at - outline.directory_at).unwrap_or(usize::MAX);
                return outline.directory.get(from..).unwrap_or_default().read(buffer);
            }
            ZipBytes::Parts(outline, gathered) => {
                let parts = gathered.as_ref().map(|gathered| &*gathered.parts).unwrap_or_default();
                let next = parts.partition_point(|(part, _)| part.from <= self.at);
                let here = next.checked_sub(1).and_then(|n| parts.get(n));
                match here.filter(|(part, _)| self.at - part.from < part.length) {
                    Some((part, place)) => {
                        let inside = self.at - part.from;
                        (place + inside, part.length - inside)
                    }
                    None => {
                        // The search for the directory's beginning reads over it.
                        let end = parts.get(next).map_or(outline.directory_at, |(part, _)| part.from);
                        let most = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(buffer.len());
                        buffer.get_mut(..most).unwrap_or_default().fill(0);
                        return Ok(most);
                    }
                }
            }
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
        match &self.file {
            Some(file) => file.read_at(buffer.get_mut(..most).unwrap_or_default(), at),
            None => Ok(0),
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.at >= self.size {
            return Ok(0);
        }
        let got = self.read_here(buffer)?;
        self.at += got as u64;
        Ok(got)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
