//! Gzipped tar archives, unpacked in one pass; an archive that breaks a rule leaves nothing, as the whole folder is thrown away.

use std::cell::Cell;
use std::io;
use std::io::{BufReader, Read};
use std::rc::Rc;

use ::tar::EntryType;
use apim_protocol::operation::archive::Archive;
use flate2::bufread::MultiGzDecoder;

use super::contents::{Entry, MAX_LINK, Names, UnpackError, shown};
use crate::system::{Cursor, Tree};

/// What may stand between the contents of two entries: headers, long names, attributes.
const HEADER_BYTES: u64 = 1024 * 1024;

/// Stops a stream that gives more than it may: a name of gigabytes would otherwise be gathered in memory.
struct Budget<R> {
    from: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an entry's head is longer than 1 MiB"));
        }
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let got = self.from.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left.set(left - got as u64);
        Ok(got)
    }
}

/// Unpacks the gzipped tar that `from` contains into `tree`; calls `told` for each file.
pub(super) fn unpack(
    archive: &Archive,
    from: impl Read,
    tree: &Tree,
    told: &mut dyn FnMut(),
) -> Result<Names, UnpackError> {
    let left = Rc::new(Cell::new(HEADER_BYTES));
    let from = Budget {
        from: MultiGzDecoder::new(BufReader::with_capacity(256 * 1024, from)),
        left: Rc::clone(&left),
    };
    let mut tar = ::tar::Archive::new(from);
    let mut names = Names::new(archive.strip_top, archive.max_entries);
    let mut cursor = Cursor::default();
    let mut entries = tar.entries().map_err(UnpackError::read)?;
    loop {
        left.set(HEADER_BYTES);
        let Some(entry) = entries.next() else { return Ok(names) };
        let mut entry = entry.map_err(UnpackError::read)?;
        let name = entry.path_bytes().into_owned();
        let mode = entry.header().mode().map_err(UnpackError::read)?;
        let refused = |kind| Err(UnpackError::Entry { name: shown(&name), kind });
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                let declared = tree.written().saturating_add(entry.size());
                if declared > archive.max_bytes {
                    return Err(UnpackError::TooMuch { declared, max: archive.max_bytes });
                }
                left.set(entry.size().saturating_add(HEADER_BYTES));
                if let Some(path) = names.add(&name, Entry::File)? {
                    tree.write_file(&mut cursor, &path, mode, &mut entry)?;
                }
                told();
            }
            EntryType::Directory => {
                if let Some(path) = names.add(&name, Entry::Folder(mode))? {
                    tree.make_folder(&path)?;
                }
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                if target.len() as u64 > MAX_LINK {
                    return refused("a link with an endless target");
                }
                names.add_link(&name, &target)?;
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let old = names.find(&target).filter(|old| !names.links.contains_key(old));
                let link = || UnpackError::Link { name: shown(&name), target: shown(&target) };
                let old = old.ok_or_else(link)?;
                if let Some(path) = names.add(&name, Entry::File)? {
                    tree.hard_link(&old, &path)?;
                }
            }
            EntryType::XGlobalHeader => {}
            EntryType::GNUSparse => return refused("a sparse file"),
            EntryType::Block | EntryType::Char => return refused("a device"),
            EntryType::Fifo => return refused("a pipe"),
            _ => return refused("of an unknown kind"),
        }
    }
}
