//! Reading a file that a person named: never without an end in size or time, whatever it turns out to be.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// How long a pipe may be silent before its end.
const PIPE: Duration = Duration::from_secs(60);

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is a folder.
    #[error("it is a folder")]
    Folder,
    /// It is a device or a socket.
    #[error("it is neither a file nor a pipe")]
    Device,
    /// It has more bytes than allowed.
    #[error("it is larger than {}", size(*.0))]
    TooLarge(u64),
    /// A pipe that did not end in time.
    #[error("this pipe did not end within {} s", .0.as_secs())]
    Endless(Duration),
    /// It is no text.
    #[error("the file is no UTF-8 text: the first wrong byte is in line {line}, column {column}")]
    NoText {
        /// The line of the first wrong byte, from 1.
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
/// When it cannot be read, is a folder or a device, has more, or is a pipe that does not end in time.
pub fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    read_within(path, max, PIPE)
}

/// Reads a text of at most `max` bytes from a file or a pipe.
///
/// # Errors
/// As [`read_bounded`], and when it is no UTF-8 text.
pub fn read_text(path: &Path, max: u64) -> Result<String, ReadError> {
    String::from_utf8(read_bounded(path, max)?).map_err(|error| no_text(error.as_bytes(), error.utf8_error()))
}

fn no_text(bytes: &[u8], error: std::str::Utf8Error) -> ReadError {
    let sound = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
    let last = sound.rsplit('\n').next().unwrap_or("");
    ReadError::NoText { line: sound.matches('\n').count() + 1, column: last.chars().count() + 1 }
}

/// Reads at most `max` bytes from any source.
///
/// # Errors
/// When it fails or has more.
pub fn take(source: impl Read, max: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    source.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max { Err(ReadError::TooLarge(max)) } else { Ok(bytes) }
}

fn read_within(path: &Path, max: u64, patience: Duration) -> Result<Vec<u8>, ReadError> {
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
    // Opening a pipe waits for its writer: the thread that does it is left behind when none comes.
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    std::thread::spawn(move || {
        let read = File::open(&path).map_err(ReadError::from).and_then(|file| take(file, max));
        // Nobody listens any more when it took too long.
        sender.send(read).ok();
    });
    receiver.recv_timeout(patience).unwrap_or(Err(ReadError::Endless(patience)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ReadError, read_bounded, read_text, read_within};

    #[test]
    fn what_has_no_end_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        assert!(matches!(read_bounded(folder.path(), 10), Err(ReadError::Folder)));
        assert!(matches!(read_bounded("/dev/zero".as_ref(), 10), Err(ReadError::Device)));
        let file = folder.path().join("f");
        std::fs::write(&file, "12345").expect("write");
        assert_eq!(read_text(&file, 5).expect("reads"), "12345");
        let error = read_text(&file, 4).expect_err("too large");
        assert_eq!(error.to_string(), "it is larger than 4 bytes");
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_not_waited_for_without_one() {
        let folder = tempfile::tempdir().expect("folder");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
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
    fn the_first_wrong_byte_is_told() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("f");
        std::fs::write(&file, b"a: 1\n\xc3\xa9: \xff\n").expect("write");
        let error = read_text(&file, 100).expect_err("no text").to_string();
        assert_eq!(error, "the file is no UTF-8 text: the first wrong byte is in line 2, column 4");
    }
}
