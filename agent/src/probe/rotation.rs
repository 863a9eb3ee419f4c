//! Where the files went that were a log before: its neighbours whose names begin like the log's own.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Returns the rotated file with this inode and those that were rotated after it, oldest first; empty when it is gone.
///
/// Compressed ones do not count: they are other files, which the reader could not continue in.
#[must_use]
pub fn since(log: &Path, inode: u64) -> Vec<PathBuf> {
    let mut rotated = neighbours(log);
    rotated.sort_by_key(|file| file.modified);
    match rotated.iter().position(|file| file.inode == inode) {
        Some(at) => rotated.into_iter().skip(at).map(|file| file.path).collect(),
        None => Vec::new(),
    }
}

/// Returns the files that were the log before, newest first: those whose names go on with a date or a number.
#[must_use]
pub fn older(log: &Path) -> Vec<PathBuf> {
    let name = log.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".log").unwrap_or(name);
    let is_numbered = |file: &Neighbour| {
        let other = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let rest = other.strip_prefix(name).or_else(|| other.strip_prefix(stem)).unwrap_or_default();
        rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit())
    };
    let mut rotated = neighbours(log);
    rotated.retain(is_numbered);
    rotated.sort_by_key(|file| std::cmp::Reverse(file.modified));
    rotated.into_iter().map(|file| file.path).collect()
}

struct Neighbour {
    path: PathBuf,
    inode: u64,
    modified: SystemTime,
}

fn neighbours(log: &Path) -> Vec<Neighbour> {
    let (Some(folder), Some(name)) = (log.parent(), log.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let stem = name.strip_suffix(".log").unwrap_or(name);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_rotated = |other: &str| {
        let behind = other.strip_prefix(stem).and_then(|rest| rest.chars().next());
        other != name
            && matches!(behind, Some('.' | '-' | '_'))
            && ![".gz", ".zip", ".bz2", ".xz", ".zst"].iter().any(|ending| other.ends_with(ending))
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_rotated))
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some(Neighbour { path: entry.path(), inode: metadata.ino(), modified: metadata.modified().ok()? })
        })
        .collect()
}
