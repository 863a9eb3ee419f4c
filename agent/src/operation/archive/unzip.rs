//! Zip archives that are whole: all names are judged first, then the files that were not written on the way are inflated by a few
//! threads.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use ::zip::{CompressionMethod, ZipArchive};

use super::arriving::{Early, FIRST_MODE};
use super::contents::{Entry, Names, UnpackError, shown};
use super::{Archive, MAX_LINK};
use crate::operation::Dialogue;
use crate::system::{Cursor, Inside, Tree};

/// At most so many threads inflate.
const MAX_THREADS: usize = 4;

/// Read ahead so much: heads of entries are small, and what is inflated is read in larger pieces anyway.
const READ_AHEAD: usize = 8 * 1024;

/// A zip whose names were all judged.
pub(super) struct Judged {
    pub(super) names: Names,
    jobs: Vec<Job>,
    /// Where the heads of its links stand.
    links: HashMap<Inside, u64>,
    total: u64,
}

/// One file to be written.
struct Job {
    index: usize,
    mode: u32,
    told: Early,
}

fn open(file: &Path) -> Result<ZipArchive<BufReader<File>>, UnpackError> {
    let file = File::open(file).map_err(UnpackError::read)?;
    ZipArchive::new(BufReader::with_capacity(READ_AHEAD, file)).map_err(UnpackError::read)
}

/// Looks at everything that the zip `file` says it holds.
pub(super) fn judge(archive: &Archive, file: &Path) -> Result<Judged, UnpackError> {
    let mut zip = open(file)?;
    if zip.has_duplicate_names() {
        return Err(UnpackError::read("two of its entries have the same name"));
    }
    if zip.has_overlapping_files().map_err(UnpackError::read)? {
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
            jobs.push(Job { index, mode: mode.unwrap_or(0o644), told });
        }
    }
    Ok(Judged { names, jobs, links, total })
}

impl Judged {
    /// Takes over what was written on the way; `false` when one of these files is not what the zip tells of.
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
        file: &Path,
        tree: &Tree,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Names, UnpackError> {
        for folder in self.names.folders.keys() {
            tree.make_folder(folder)?;
        }
        inflate(file, tree, &self.jobs, self.total, dialogue)?;
        Ok(self.names)
    }
}

fn link_target(zip: &mut ZipArchive<BufReader<File>>, index: usize) -> Result<Vec<u8>, UnpackError> {
    let entry = zip.by_index(index).map_err(UnpackError::read)?;
    let mut target = Vec::new();
    entry.take(MAX_LINK).read_to_end(&mut target).map_err(UnpackError::read)?;
    Ok(target)
}

fn inflate(
    file: &Path,
    tree: &Tree,
    jobs: &[Job],
    total: u64,
    dialogue: &mut dyn Dialogue,
) -> Result<(), UnpackError> {
    let threads =
        thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(jobs.len().max(1));
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, results) = channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, stopped) = (sender.clone(), &next, &stopped);
            scope.spawn(move || {
                let result = work(file, tree, jobs, next, stopped);
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
                Err(RecvTimeoutError::Timeout) => dialogue.progress("unpacking", tree.written(), total),
                Err(RecvTimeoutError::Disconnected) => return first,
            }
        }
    })
}

fn work(
    file: &Path,
    tree: &Tree,
    jobs: &[Job],
    next: &AtomicUsize,
    stopped: &AtomicBool,
) -> Result<(), UnpackError> {
    let (mut zip, mut cursor) = (open(file)?, Cursor::default());
    while !stopped.load(Ordering::Relaxed) {
        let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
        let mut entry = zip.by_index(job.index).map_err(UnpackError::read)?;
        tree.write_file(&mut cursor, &job.told.path, job.mode, &mut entry)?;
    }
    Ok(())
}
