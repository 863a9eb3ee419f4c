//! What is unpacked while it arrives is what would be unpacked from the whole, and is nothing when the end does not hold.

use apim_protocol::operation::archive::Format;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;

/// Returns what `bytes` unpack to on both benches: the outcome's kind and the tree, the stamp's time apart.
fn both(format: Format, bytes: &[u8]) -> [(String, BTreeMap<PathBuf, String>); 2] {
    Bench::both().map(|bench| {
        let outcome = bench.run(&Operation::Archive(desired(&bench, format, bytes)), Mode::Apply);
        let said = match outcome {
            Outcome::Failed(failure) => failure.causes.join(": "),
            other => format!("{other:?}"),
        };
        let root = bench.system.root().to_path_buf();
        let mut tree = BTreeMap::new();
        for (path, what) in bench.snapshot() {
            let path = path.strip_prefix(&root).unwrap().to_path_buf();
            assert!(!path.to_string_lossy().contains(".unpack-"), "{path:?} is left");
            if path.file_name().is_none_or(|name| name != STAMP) {
                tree.insert(path, what);
            }
        }
        (said, tree)
    })
}

/// Changes the first `from` in `bytes` to `to`.
fn swap(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|part| part == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

fn tar() -> Vec<u8> {
    tar_gz(&[
        (EntryType::Regular, "a/x", &"text".repeat(4000), 0o750),
        (EntryType::Symlink, "a/l", "x", 0o777),
        (EntryType::Link, "a/b/hard", "a/x", 0o750),
    ])
}

#[test]
fn files_are_written_before_the_archive_is_whole_and_put_into_place_only_then() {
    for (format, bytes, early) in [(Format::Zip, good_zip(), "run.sh"), (Format::TarGz, tar(), "x")] {
        let [_, bench] = Bench::both();
        bench.assert_converges(&Operation::Archive(desired(&bench, format, &bytes)));
        let seen = bench.seen.borrow();
        let before = &seen[seen.len() - 2];
        assert!(before.keys().any(|path| path.ends_with(early)), "{format:?}: {before:?}");
        assert!(seen.iter().flat_map(BTreeMap::keys).all(|path| !path.ends_with("opt/app")), "{format:?}");
    }
}

#[test]
fn a_link_that_is_lost_or_a_digest_that_is_wrong_leaves_nothing() {
    for (format, bytes) in [(Format::Zip, good_zip()), (Format::TarGz, tar())] {
        let [_, bench] = Bench::both();
        let archive = desired(&bench, format, &bytes);
        bench.breaks.set(true);
        let before = bench.snapshot();
        let outcome = bench.run(&Operation::Archive(archive), Mode::Apply);
        assert!(outcome.is_failure() && bench.seen.borrow().len() > 1, "{outcome:?}");
        assert_eq!(bench.snapshot(), before);
    }
}

#[test]
fn sizes_behind_the_data_are_understood() {
    let follows = |entry: Raw| Raw { sizes_follow: true, ..entry };
    let big = || Raw { deflated: true, ..raw("a/big", 0o100_600, &"big ".repeat(50_000)) };
    for entries in [
        vec![follows(big()), raw("a/x", 0o755, "x")],
        vec![follows(raw("a/stored", 0o644, "stored")), raw("a/x", 0o755, "x"), big()],
    ] {
        let [(said, at_once), (said_too, piecemeal)] = both(Format::Zip, &zip(&entries));
        assert_eq!((said, at_once), (said_too, piecemeal));
    }
}

#[test]
fn the_directory_at_the_end_is_believed_and_no_head() {
    let good = good_zip();
    let local = |crc: u8| {
        let mut bytes = good.clone();
        bytes[14] ^= crc;
        bytes
    };
    let hidden = {
        let mut entries = zip(&[raw("app-1.0/hidden", 0o644, "hidden")]);
        let head = entries.windows(4).position(|part| part == b"PK\x01\x02").unwrap();
        entries.truncate(head);
        // The directory's places are those of the good zip: this one stands before it.
        [entries, good.clone()].concat()
    };
    let fewer = {
        // The directory names two entries of the three whose heads come by.
        let mut bytes =
            zip(&[raw("a/x", 0o644, "x"), raw("a/y", 0o644, "y"), raw("a/unsaid", 0o644, "unsaid")]);
        let last = bytes.windows(4).rposition(|part| part == b"PK\x01\x02").unwrap();
        let end = bytes.windows(4).rposition(|part| part == b"PK\x05\x06").unwrap();
        let cut = u32::try_from(end - last).unwrap();
        bytes.drain(last..end);
        let end = bytes.len() - 22;
        for at in [8, 10] {
            bytes[end + at] -= 1;
        }
        let size = u32::from_le_bytes(bytes[end + 12..end + 16].try_into().unwrap()) - cut;
        bytes[end + 12..end + 16].copy_from_slice(&size.to_le_bytes());
        bytes
    };
    let unknown = {
        let mut bytes = good.clone();
        let directory = bytes.windows(4).position(|part| part == b"PK\x01\x02").unwrap();
        bytes[directory + 10] = 1;
        bytes
    };
    for (why, bytes, names) in [
        ("a method", unknown, None),
        ("a sum", local(1), Some("run.sh")),
        ("a name", swap(&good, b"bin/run.sh", b"bin/ran.sh"), Some("run.sh")),
        ("a name that climbs", swap(&good, b"app-1.0/bin", b"../../../ab"), Some("run.sh")),
        ("an entry before it", hidden, None),
        ("an entry too many", fewer, Some("y")),
        ("a kind", swap(&good, b"PK\x03\x04", b"PK\x03\x05"), None),
    ] {
        let [(said, at_once), (said_too, piecemeal)] = both(Format::Zip, &bytes);
        assert_eq!(said, said_too, "{why}");
        assert_eq!(at_once, piecemeal, "{why}");
        for left in ["ran.sh", "hidden", "unsaid"] {
            assert!(!piecemeal.keys().any(|path| path.ends_with(left)), "{why}: {left}");
        }
        if let Some(name) = names {
            assert!(piecemeal.keys().any(|path| path.ends_with(name)), "{why}: {said}");
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn damage_makes_it_neither_panic_nor_write_outside_and_is_the_same_on_both_ways(
        at in 0_usize..4096, to in 0_u8..=255, is_tar in proptest::bool::ANY
    ) {
        let (format, mut bytes) = if is_tar {
            (Format::TarGz, tar())
        } else {
            (Format::Zip, good_zip())
        };
        let at = at % bytes.len();
        bytes[at] = to;
        let [(_, at_once), (_, piecemeal)] = both(format, &bytes);
        let outside = at_once.keys().filter(|path| !path.starts_with("opt")).count();
        proptest::prop_assert_eq!(outside, 1);
        proptest::prop_assert_eq!(at_once, piecemeal);
    }
}
