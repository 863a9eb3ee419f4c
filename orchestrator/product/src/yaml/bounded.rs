//! Reading of user-named files, limited in size and time for every file type.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// The longest time to wait for the end of a pipe.
const PIPE: Duration = Duration::from_secs(60);

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system reported an error.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The path is a folder.
    #[error("it is a folder, not a file")]
    Folder,
    /// The path is a device or a socket.
    #[error("it is neither a file nor a pipe")]
    Device,
    /// The file is larger than this number of bytes.
    #[error("larger than the limit of {}", size(*.0))]
    TooLarge(u64),
    /// The pipe was not closed within this time.
    #[error("the pipe was not closed within {} s", .0.as_secs())]
    Endless(Duration),
    /// The content is not UTF-8.
    #[error("invalid UTF-8 at line {line}, column {column}")]
    NoText {
        /// The line of the first invalid byte, from 1.
        line: usize,
        /// Its column in characters, from 1.
        column: usize,
    },
}

fn size(bytes: u64) -> String {
    match (bytes / 1024 / 1024, bytes / 1024) {
        (0, 0) => format!("{bytes} bytes"),
        (0, kib) => format!("{kib} KiB"),
        (mib, _) => format!("{mib} MiB"),
    }
}

/// Reads a file or a pipe of at most `max` bytes.
///
/// # Errors
/// When the file cannot be read, is a folder or a device, is larger, or is a pipe that is not
/// closed in time.
pub fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    read_within(path, max, PIPE)
}

/// Reads a text of at most `max` bytes from a file or a pipe.
///
/// # Errors
/// As [`read_bounded`], and when the content is not UTF-8.
pub fn read_text(path: &Path, max: u64) -> Result<String, ReadError> {
    String::from_utf8(read_bounded(path, max)?).map_err(|error| no_text(error.as_bytes(), error.utf8_error()))
}

fn no_text(bytes: &[u8], error: std::str::Utf8Error) -> ReadError {
    let valid = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
    let last = valid.rsplit('\n').next().unwrap_or("");
    ReadError::NoText { line: valid.matches('\n').count() + 1, column: last.chars().count() + 1 }
}

/// Reads at most `max` bytes from any source.
///
/// # Errors
/// When reading fails or there are more bytes.
pub fn take(source: impl Read, max: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    source.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max { Err(ReadError::TooLarge(max)) } else { Ok(bytes) }
}

fn read_within(path: &Path, max: u64, limit: Duration) -> Result<Vec<u8>, ReadError> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(ReadError::Folder);
    }
    if kind.is_file() {
        return take(File::open(path)?, max);
    }
    if !kind.is_fifo() {
        return Err(ReadError::Device);
    }
    // Opening a pipe blocks until a writer opens it. Without a writer the thread stays blocked.
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    std::thread::spawn(move || {
        let read = File::open(&path).map_err(ReadError::from).and_then(|file| take(file, max));
        // After the timeout the receiver is gone.
        sender.send(read).ok();
    });
    receiver.recv_timeout(limit).unwrap_or(Err(ReadError::Endless(limit)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ReadError, read_bounded, read_text, read_within};

    #[test]
    fn folders_devices_and_large_files_are_rejected() {
        let folder = tempfile::tempdir().expect("folder");
        assert!(matches!(read_bounded(folder.path(), 10), Err(ReadError::Folder)));
        assert!(matches!(read_bounded("/dev/zero".as_ref(), 10), Err(ReadError::Device)));
        let file = folder.path().join("f");
        std::fs::write(&file, "12345").expect("write");
        assert_eq!(read_text(&file, 5).expect("reads"), "12345");
        let error = read_text(&file, 4).expect_err("too large");
        assert_eq!(error.to_string(), "larger than the limit of 4 bytes");
    }

    #[test]
    fn pipe_is_read_to_its_end_and_times_out_without_writer() {
        let folder = tempfile::tempdir().expect("folder");
        let pipe = folder.path().join("pipe");
        let status = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(status.success());
        let silent = read_within(&pipe, 10, Duration::from_millis(50));
        assert!(matches!(silent, Err(ReadError::Endless(_))));
        let other = folder.path().join("other");
        assert!(std::process::Command::new("mkfifo").arg(&other).status().expect("mkfifo").success());
        let to = other.clone();
        let writer = std::thread::spawn(move || std::fs::write(to, "text"));
        assert_eq!(read_text(&other, 10).expect("reads"), "text");
        writer.join().expect("joins").expect("writes");
    }

    #[test]
    fn first_invalid_byte_is_reported() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("f");
        std::fs::write(&file, b"a: 1\n\xc3\xa9: \xff\n").expect("write");
        let error = read_text(&file, 100).expect_err("no text").to_string();
        assert_eq!(error, "invalid UTF-8 at line 2, column 4");
    }
}
