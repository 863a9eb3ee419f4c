//! Logs that grow, rotate, shrink and hold rubbish.

use std::fs;
use std::io::Write as _;

use super::*;

struct Log {
    folder: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn write(&self, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rotate_to(&self, name: &str) {
        fs::rename(self.path(), self.folder.path().join(name)).unwrap();
    }
}

fn poll(reader: &mut Reader) -> Vec<String> {
    let mut seen = Vec::new();
    let polled = reader.poll(&mut |line| {
        seen.push(line.to_owned());
        ControlFlow::Continue(())
    });
    polled.unwrap();
    seen
}

#[test]
fn only_what_was_written_since_the_mark_is_read_and_each_line_once() {
    let log = Log::new();
    log.write("old\n");
    let mut reader = Reader::since(&log.path(), &Mark::end_of(&log.path()));
    assert!(poll(&mut reader).is_empty());
    log.write("new\nhal");
    assert_eq!(poll(&mut reader), ["new"]);
    log.write("f\n");
    assert_eq!(poll(&mut reader), ["half"]);
    assert!(poll(&mut reader).is_empty());
    assert!(reader.is_complete());
}

#[test]
fn a_log_that_did_not_exist_at_the_mark_is_read_from_its_beginning() {
    let log = Log::new();
    let mut reader = Reader::since(&log.path(), &Mark::end_of(&log.path()));
    assert!(poll(&mut reader).is_empty());
    log.write("first\n");
    assert_eq!(poll(&mut reader), ["first"]);
    assert!(reader.is_complete());
}

#[test]
fn rotated_files_are_read_to_their_end_and_in_order() {
    let log = Log::new();
    log.write("old\n");
    let mut reader = Reader::since(&log.path(), &Mark::end_of(&log.path()));
    log.write("one\n");
    assert_eq!(poll(&mut reader), ["one"]);
    log.write("two\n");
    log.rotate_to("server-01-02-2026-1.log");
    log.write("three\n");
    log.rotate_to("server-01-02-2026-2.log");
    log.write("four\n");
    let times = [("server-01-02-2026-1.log", 100), ("server-01-02-2026-2.log", 200), ("server.log", 300)];
    for (name, secs) in times {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(secs);
        File::options().append(true).open(log.folder.path().join(name)).unwrap().set_modified(time).unwrap();
    }
    fs::write(log.folder.path().join("other.log"), "not ours\n").unwrap();
    assert_eq!(poll(&mut reader), ["two", "three", "four"]);
    assert!(reader.is_complete());
    log.write("five\n");
    assert_eq!(poll(&mut reader), ["five"]);
}

#[test]
fn truncated_log_is_read_again_and_incomplete() {
    let log = Log::new();
    log.write("a long first line\n");
    let mut reader = Reader::since(&log.path(), &Mark::end_of(&log.path()));
    File::options().write(true).truncate(true).open(log.path()).unwrap();
    log.write("cut\n");
    assert_eq!(poll(&mut reader), ["cut"]);
    assert!(!reader.is_complete());

    let mut reader = Reader::since(&log.path(), &Mark::end_of(&log.path()));
    fs::rename(log.path(), log.folder.path().join("elsewhere")).unwrap();
    assert!(poll(&mut reader).is_empty());
    log.write("fresh\n");
    assert_eq!(poll(&mut reader), ["fresh"]);
    assert!(!reader.is_complete());
}

#[test]
fn another_file_with_the_same_inode_is_not_taken_for_the_log() {
    let log = Log::new();
    log.write("old old old\n");
    let mark = Mark::end_of(&log.path());
    File::options().write(true).truncate(true).open(log.path()).unwrap();
    log.write("a new life, longer than the old one\n");
    let mut reader = Reader::since(&log.path(), &mark);
    assert_eq!(poll(&mut reader), ["a new life, longer than the old one"]);
    assert!(!reader.is_complete());
}

#[test]
fn a_link_or_a_pipe_in_the_place_of_a_log_is_refused() {
    let log = Log::new();
    let secret = log.folder.path().join("secret");
    fs::write(&secret, "root only\n").unwrap();
    std::os::unix::fs::symlink(&secret, log.path()).unwrap();
    assert_eq!(Mark::end_of(&log.path()), Mark::default());
    let mut reader = Reader::since(&log.path(), &Mark::default());
    let mut unseen = |line: &str| -> ControlFlow<()> { panic!("{line} was shown") };
    assert!(matches!(reader.poll(&mut unseen), Err(ProbeError::NotAFile { .. })));
    fs::remove_file(log.path()).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, log.path(), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    assert!(matches!(reader.poll(&mut unseen), Err(ProbeError::NotAFile { .. })));
}

#[test]
fn a_mark_survives_being_stored() {
    let log = Log::new();
    log.write("old\n");
    let stored = serde_json::to_string(&Mark::end_of(&log.path())).unwrap();
    log.write("new\n");
    let mark: Mark = serde_json::from_str(&stored).unwrap();
    assert_eq!(poll(&mut Reader::since(&log.path(), &mark)), ["new"]);
}

#[test]
fn reading_ends_soon_after_the_line_that_was_looked_for() {
    let log = Log::new();
    log.write("wanted\n");
    log.write(&"filler\n".repeat(100_000));
    let mut reader = Reader::since(&log.path(), &Mark::default());
    let mut seen = 0;
    let polled = reader.poll(&mut |_| {
        seen += 1;
        ControlFlow::Break(())
    });
    polled.unwrap();
    assert_eq!(seen, 1);
    assert!(reader.offset < 100_000, "{} bytes were read", reader.offset);
}
