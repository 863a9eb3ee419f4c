//! Zip archives that are whole: all names are judged first, then the files that were not written on the way are inflated by a few
//! threads.

use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use std::{io, thread};

use ::zip::CompressionMethod;
use apim_protocol::operation::archive::Archive;
use apim_protocol::value::Sha256;
use sha2::Digest as _;

use super::arriving::{Early, FIRST_MODE};
use super::bytes::{Zip, ZipBytes};
use super::contents::{Entry, MAX_LINK, Names, UnpackError, shown};
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Cursor, Inside, Tree};

/// At most so many threads inflate.
const MAX_THREADS: usize = 4;

/// A zip whose names were all judged.
pub(super) struct Judged {
    pub(super) names: Names,
    pub(super) jobs: Vec<Job>,
    /// Where the heads of its links stand.
    links: HashMap<Inside, u64>,
    pub(super) total: u64,
}

/// One file to be written.
pub(super) struct Job {
    index: usize,
    pub(super) mode: u32,
    pub(super) told: Early,
    /// What it must hold, where that is known of each file by itself.
    pub(super) sha256: Option<Sha256>,
}

/// Looks at everything that the zip says it holds.
pub(super) fn judge(archive: &Archive, bytes: &ZipBytes) -> Result<Judged, UnpackError> {
    let mut zip = bytes.open()?;
    if zip.has_duplicate_names() {
        return Err(UnpackError::read("two of its entries have the same name"));
    }
    // A zip with an outline has none: all heads were checked when the outline was created.
    if bytes.is_whole() && zip.has_overlapping_files().map_err(UnpackError::read)? {
        return Err(UnpackError::Overlap);
    }
    let mut names = Names::new(archive.strip_top, archive.max_entries);
    let (mut jobs, mut links, mut total) = (Vec::new(), HashMap::new(), 0_u64);
    for index in 0..zip.len() {
        let entry = zip.by_index_data(index).map_err(UnpackError::read)?;
        // Names that are not UTF-8 are in the code page that such zips have always used.
        let name = entry.name().map_err(UnpackError::read)?.into_owned();
        let mode = entry.unix_mode();
        if entry.encrypted() {
            return Err(UnpackError::Entry { name: shown(name.as_bytes()), kind: "encrypted" });
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(UnpackError::Entry {
                name: shown(name.as_bytes()),
                kind: "packed in an unknown way",
            });
        }
        if entry.is_symlink() {
            let offset = entry.header_start();
            let target = link_target(&mut zip, index)?;
            let path = names.add_link(name.as_bytes(), &target)?;
            links.insert(path, offset);
            continue;
        }
        if entry.is_dir() {
            names.add(name.as_bytes(), Entry::Folder(mode.unwrap_or(0o755)))?;
            continue;
        }
        // A mode may carry the bits of a file's kind; none at all comes from systems without modes.
        let kind = mode.unwrap_or(0) & 0o170_000;
        if kind != 0 && kind != 0o100_000 {
            let kind = "neither file nor folder nor link";
            return Err(UnpackError::Entry { name: shown(name.as_bytes()), kind });
        }
        total = total.saturating_add(entry.size());
        if total > archive.max_bytes {
            return Err(UnpackError::TooMuch { declared: total, max: archive.max_bytes });
        }
        if let Some(path) = names.add(name.as_bytes(), Entry::File)? {
            let told = Early {
                path,
                offset: entry.header_start(),
                deflated: entry.compression() == CompressionMethod::Deflated,
                crc: entry.crc32(),
                packed: entry.compressed_size(),
                size: entry.size(),
            };
            jobs.push(Job { index, mode: mode.unwrap_or(0o644), told, sha256: None });
        }
    }
    Ok(Judged { names, jobs, links, total })
}

impl Judged {
    /// Takes over what was written on the way; `false` when one of these files differs from the zip's entry.
    pub(super) fn take_over(&mut self, early: Vec<Early>, tree: &Tree) -> Result<bool, UnpackError> {
        let mut early: HashMap<Inside, Early> =
            early.into_iter().map(|file| (file.path.clone(), file)).collect();
        let mut rest = Vec::new();
        for job in self.jobs.drain(..) {
            match early.remove(&job.told.path) {
                Some(file) if file == job.told => tree.give_mode(&file.path, job.mode, FIRST_MODE)?,
                Some(_) => return Ok(false),
                None => rest.push(job),
            }
        }
        self.jobs = rest;
        for file in early.into_values() {
            if self.links.get(&file.path) != Some(&file.offset) {
                return Ok(false);
            }
            // The text of a link, which is made at the end.
            tree.remove_file(&file.path)?;
        }
        Ok(true)
    }

    /// Writes what is not there yet into `tree`.
    pub(super) fn unpack(
        self,
        bytes: &ZipBytes,
        tree: &Tree,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Names, UnpackError> {
        for folder in self.names.folders.keys() {
            tree.make_folder(folder)?;
        }
        let jobs = &self.jobs;
        let mut told = || dialogue.progress("unpacking", tree.written(), self.total);
        in_threads(jobs.len(), &mut told, &|next| {
            let (mut zip, mut cursor) = (bytes.open()?, Cursor::default());
            while let Some(job) = next().and_then(|at| jobs.get(at)) {
                let mut entry = zip.by_index(job.index).map_err(UnpackError::read)?;
                write(tree, &mut cursor, job, &mut entry)?;
            }
            Ok(())
        })?;
        Ok(self.names)
    }
}

/// Writes one file with what `from` holds, which must be what is known of it.
pub(super) fn write(
    tree: &Tree,
    cursor: &mut Cursor,
    job: &Job,
    from: &mut dyn Read,
) -> Result<(), UnpackError> {
    let Some(sha256) = job.sha256 else {
        return Ok(tree.write_file(cursor, &job.told.path, job.mode, from)?);
    };
    let mut hashed = Hashed { from, hasher: sha2::Sha256::new() };
    tree.write_file(cursor, &job.told.path, job.mode, &mut hashed)?;
    if Sha256::from_bytes(hashed.hasher.finalize().into()) == sha256 {
        return Ok(());
    }
    Err(UnpackError::read(format!("`{}` is not what it should be", job.told.path.as_path().display())))
}

/// Hashes what is read.
struct Hashed<'a> {
    from: &'a mut dyn Read,
    hasher: sha2::Sha256,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(buffer)?;
        self.hasher.update(buffer.get(..got).unwrap_or_default());
        Ok(got)
    }
}

fn link_target(zip: &mut Zip, index: usize) -> Result<Vec<u8>, UnpackError> {
    let entry = zip.by_index(index).map_err(UnpackError::read)?;
    let mut target = Vec::new();
    entry.take(MAX_LINK).read_to_end(&mut target).map_err(UnpackError::read)?;
    Ok(target)
}

/// What one thread does: it takes the next number until there is none.
type Work<'a> = dyn Fn(&dyn Fn() -> Option<usize>) -> Result<(), UnpackError> + Sync + 'a;

/// Runs `work` for the numbers below `count`, each once, in a few threads; they stop at the first error. Calls `told` now and then.
pub(super) fn in_threads(count: usize, told: &mut dyn FnMut(), work: &Work<'_>) -> Result<(), UnpackError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(count.max(1));
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, results) = channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, stopped) = (sender.clone(), &next, &stopped);
            scope.spawn(move || {
                let result = work(&|| {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    (at < count && !stopped.load(Ordering::Relaxed)).then_some(at)
                });
                if result.is_err() {
                    stopped.store(true, Ordering::Relaxed);
                }
                // The other end lives as long as this scope.
                sender.send(result).ok();
            });
        }
        drop(sender);
        let mut first = Ok(());
        loop {
            match results.recv_timeout(Duration::from_millis(200)) {
                Ok(result) => first = first.and(result),
                Err(RecvTimeoutError::Timeout) => told(),
                Err(RecvTimeoutError::Disconnected) => return first,
            }
        }
    })
}
