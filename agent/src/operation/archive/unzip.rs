//! Zip archives: all names are judged first, then the files are inflated by a few threads.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use ::zip::ZipArchive;

use super::contents::{Entry, Names, UnpackError, shown};
use super::{Archive, MAX_LINK};
use crate::operation::Dialogue;
use crate::system::{Cursor, Inside, Tree};

/// At most so many threads inflate.
const MAX_THREADS: usize = 4;

/// Read ahead so much: heads of entries are small, and what is inflated is read in larger pieces anyway.
const READ_AHEAD: usize = 8 * 1024;

/// One file to be written.
struct Job {
    index: usize,
    path: Inside,
    mode: u32,
}

fn open(file: &Path) -> Result<ZipArchive<BufReader<File>>, UnpackError> {
    let file = File::open(file).map_err(UnpackError::read)?;
    ZipArchive::new(BufReader::with_capacity(READ_AHEAD, file)).map_err(UnpackError::read)
}

/// Unpacks the zip `file` into `tree`.
pub(super) fn unpack(
    archive: &Archive,
    file: &Path,
    tree: &Tree,
    dialogue: &mut dyn Dialogue,
) -> Result<Names, UnpackError> {
    let mut zip = open(file)?;
    if zip.has_duplicate_names() {
        return Err(UnpackError::read("two of its entries have the same name"));
    }
    if zip.has_overlapping_files().map_err(UnpackError::read)? {
        return Err(UnpackError::Overlap);
    }
    let (names, jobs, total) = judge(archive, &mut zip)?;
    drop(zip);
    for folder in names.folders.keys() {
        tree.make_folder(folder)?;
    }
    inflate(file, tree, &jobs, total, dialogue)?;
    Ok(names)
}

fn judge(
    archive: &Archive,
    zip: &mut ZipArchive<BufReader<File>>,
) -> Result<(Names, Vec<Job>, u64), UnpackError> {
    let mut names = Names::new(archive.strip_top, archive.max_entries);
    let (mut jobs, mut total) = (Vec::new(), 0_u64);
    for index in 0..zip.len() {
        let entry = zip.by_index_data(index).map_err(UnpackError::read)?;
        // Names that are not UTF-8 are in the code page that such zips have always used.
        let name = entry.name().map_err(UnpackError::read)?.into_owned();
        let mode = entry.unix_mode();
        if entry.encrypted() {
            return Err(UnpackError::Entry { name: shown(name.as_bytes()), kind: "encrypted" });
        }
        if entry.is_symlink() {
            let target = link_target(zip, index)?;
            names.add_link(name.as_bytes(), &target)?;
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
            jobs.push(Job { index, path, mode: mode.unwrap_or(0o644) });
        }
    }
    Ok((names, jobs, total))
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
        tree.write_file(&mut cursor, &job.path, job.mode, &mut entry)?;
    }
    Ok(())
}
