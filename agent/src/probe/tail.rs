//! The end of a log, read from the end on: so much of it as is wanted, and no more. Rotated files are gone back to.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use apim_protocol::observation::LogEntry;
use regex::Regex;

use crate::probe::entries::Entries;
use crate::probe::text::Lines;
use crate::probe::{ProbeError, log, rotation};

/// The first part of a file that is read, from its end; each further one is four times as long.
const WINDOW: u64 = 256 * 1024;
/// So much of a file is gone back at most.
const FARTHEST: u64 = 1024 * 1024 * 1024;
/// So many bytes of entries are kept at most.
const KEPT: usize = 8 * 1024 * 1024;
/// So many rotated files are gone back to.
const ROTATED: usize = 30;

/// What of a log is wanted.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The last so many entries.
    pub last: usize,
    /// Only those since then, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Only those with a line that matches.
    pub matching: Option<Regex>,
    /// How far the log's clock is ahead of UTC.
    pub zone_secs: i64,
}

impl Selection {
    /// Says whether an entry is one of those.
    #[must_use]
    pub fn wants(&self, entry: &LogEntry) -> bool {
        let is_young = self.since.is_none_or(|since| entry.at.is_none_or(|at| at >= since));
        is_young
            && self.matching.as_ref().is_none_or(|regex| entry.text.lines().any(|line| regex.is_match(line)))
    }
}

/// The end of a log.
#[derive(Debug, Default)]
pub struct Tail {
    /// The entries, oldest first.
    pub entries: VecDeque<LogEntry>,
    /// How many older ones were wanted and are left out, because there were too many.
    pub left_out: u64,
    /// Where the last whole line of the log ended.
    pub end: u64,
    bytes: usize,
}

/// Returns the end of the log at `path`.
///
/// # Errors
/// When it cannot be read, or is not a regular file.
pub fn tail(path: &Path, selection: &Selection) -> Result<Tail, ProbeError> {
    let (mut all, mut is_enough) = tail_of(path, selection)?;
    let mut older = rotation::older(path).into_iter().take(ROTATED);
    while !is_enough && all.left_out == 0 {
        let Some(path) = older.next() else { break };
        let rest = Selection { last: selection.last.saturating_sub(all.entries.len()), ..selection.clone() };
        // One that was removed or compressed meanwhile is not an error.
        let Ok((before, enough)) = tail_of(&path, &rest) else { break };
        is_enough = enough || before.entries.len() >= rest.last;
        all.left_out += before.left_out;
        for entry in before.entries.into_iter().rev() {
            if all.bytes + entry.text.len() > KEPT {
                all.left_out += 1;
                is_enough = true;
            } else {
                all.bytes += entry.text.len();
                all.entries.push_front(entry);
            }
        }
    }
    Ok(all)
}

/// Returns the end of one file, and whether what stands before it is not wanted.
fn tail_of(path: &Path, selection: &Selection) -> Result<(Tail, bool), ProbeError> {
    let mut file = log::open(path)?;
    let length = file.metadata().map_err(|error| ProbeError::read(path, error))?.len();
    let mut window = WINDOW;
    loop {
        let start = length.saturating_sub(window.min(FARTHEST));
        let read = read(&mut file, (start, length), selection);
        let (tail, is_enough) = read.map_err(|error| ProbeError::read(path, error))?;
        if is_enough || start == 0 || window >= FARTHEST {
            return Ok((tail, is_enough));
        }
        window *= 4;
    }
}

fn read(file: &mut File, (start, end): (u64, u64), selection: &Selection) -> std::io::Result<(Tail, bool)> {
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Tail { end: start, ..Tail::default() };
    let mut entries = Entries::new(selection.zone_secs);
    let (mut lines, mut left) = (Lines::default(), end - start);
    let (mut buffer, mut offset) = (vec![0; 64 * 1024], start);
    // What stands before the first stamp is the rest of something.
    let (mut is_cut, mut is_old) = (start > 0, false);
    let mut line_is_cut = start > 0;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = file.read(buffer.get_mut(..most).unwrap_or_default())?;
        if count == 0 {
            break;
        }
        left -= count as u64;
        let piece = buffer.get(..count).unwrap_or_default();
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            tail.end = offset + at as u64 + 1;
        }
        offset += count as u64;
        lines.push(piece, &mut |line| {
            if std::mem::take(&mut line_is_cut) {
                return;
            }
            if let Some(entry) = entries.push(line) {
                tail.take(entry, selection, (&mut is_cut, &mut is_old));
            }
        });
    }
    if let Some(entry) = entries.finish() {
        tail.take(entry, selection, (&mut is_cut, &mut is_old));
    }
    let is_full = tail.left_out > 0 || tail.entries.len() >= selection.last;
    Ok((tail, is_full || is_old))
}

impl Tail {
    fn take(&mut self, entry: LogEntry, selection: &Selection, (is_cut, is_old): (&mut bool, &mut bool)) {
        if std::mem::replace(is_cut, false) && entry.at.is_none() {
            return;
        }
        if let (Some(at), Some(since)) = (entry.at, selection.since) {
            *is_old |= at < since;
        }
        if !selection.wants(&entry) || selection.last == 0 {
            return;
        }
        self.bytes += entry.text.len();
        self.entries.push_back(entry);
        while self.entries.len() > selection.last || self.bytes > KEPT {
            let Some(first) = self.entries.pop_front() else { break };
            self.bytes -= first.text.len();
            // With a limit on the last few, more are expected.
            self.left_out += u64::from(selection.since.is_some() || self.bytes > KEPT);
        }
    }
}

/// Returns the newest file of `folder` whose name fits `name`, in which a `*` matches anything.
#[must_use]
pub fn newest(folder: &Path, name: &str) -> Option<PathBuf> {
    let Some((head, tail)) = name.split_once('*') else { return Some(folder.join(name)) };
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let fitting = entries.filter(|entry| {
        let found = entry.file_name();
        let found = found.to_string_lossy();
        found.len() >= head.len() + tail.len() && found.starts_with(head) && found.ends_with(tail)
    });
    let dated = fitting.filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some((metadata.modified().ok()?, entry.path()))
    });
    dated.max().map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u32) -> String {
        let (minute, second) = (number / 60 % 60, number % 60);
        format!("[2026-05-29 1{}:{minute:02}:{second:02},000]  INFO - line {number}\n", number / 3600)
    }

    fn selection(last: usize) -> Selection {
        Selection { last, since: None, matching: None, zone_secs: 0 }
    }

    fn numbers(tail: &Tail) -> Vec<u32> {
        let number = |entry: &LogEntry| entry.text.rsplit(' ').next().and_then(|word| word.parse().ok());
        tail.entries.iter().filter_map(number).collect()
    }

    #[test]
    fn only_matching_entries_of_the_end_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        std::fs::write(&path, (0..30_000).map(line).collect::<String>() + "no line end").unwrap();
        let tail_is = |selection: &Selection| numbers(&tail(&path, selection).unwrap());
        assert_eq!(
            tail_is(&selection(3)),
            [29_997, 29_998, 29_999],
            "a line that is still being written is none yet"
        );
        assert_eq!(tail(&path, &selection(0)).unwrap().entries.len(), 0);
        let rare = Selection { matching: Regex::new("line (7|77|20000)$").ok(), ..selection(10) };
        assert_eq!(tail_is(&rare), [7, 77, 20_000]);
        let since = Selection { since: crate::probe::stamp::find(&line(29_990), 0), ..selection(1000) };
        assert_eq!(tail_is(&since).first(), Some(&29_990));
    }

    #[test]
    fn end_of_the_last_whole_line_is_returned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        std::fs::write(&path, format!("{}half", line(1))).unwrap();
        assert_eq!(tail(&path, &selection(5)).unwrap().end, line(1).len() as u64);
    }

    #[test]
    fn rotated_files_are_gone_back_to() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, numbers: std::ops::Range<u32>| {
            std::fs::write(folder.path().join(name), numbers.map(line).collect::<String>()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        write("x-05-28-2026-1.log", 0..10);
        write("x-trace.log", 500..510);
        write("x-05-29-2026-1.log", 10..20);
        write("x.log", 20..25);
        let path = folder.path().join("x.log");
        assert_eq!(numbers(&tail(&path, &selection(3)).unwrap()), [22, 23, 24]);
        assert_eq!(numbers(&tail(&path, &selection(8)).unwrap()), (17..25).collect::<Vec<_>>());
        assert_eq!(numbers(&tail(&path, &selection(100)).unwrap()), (0..25).collect::<Vec<_>>());
        assert_eq!(newest(folder.path(), "x-05-*-1.log").unwrap().file_name().unwrap(), "x-05-29-2026-1.log");
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_rest_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let long = format!("[2026-05-29 10:00:00,000] {}\n", "x".repeat(8000));
        std::fs::write(&path, long.repeat(2000)).unwrap();
        let tail = tail(&path, &Selection { since: Some(0), ..selection(1_000_000) }).unwrap();
        assert!(tail.bytes <= KEPT && tail.left_out > 0, "{} {}", tail.bytes, tail.left_out);
        assert_eq!(tail.left_out + tail.entries.len() as u64, 2000);
    }
}
