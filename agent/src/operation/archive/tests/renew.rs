//! A release made from the one before it is the release that the whole zip unpacks to, whatever became of the one before.

use apim_protocol::operation::archive::Format;
use apim_protocol::operation::archive::outline;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::operation::testing::Spoil;

/// Files of a release: name, mode, what they hold.
type Files = Vec<(String, u32, Vec<u8>)>;

/// A real zip of them, below one top folder.
fn zipped(files: &Files) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (n, (name, mode, bytes)) in files.iter().enumerate() {
        let method = if n % 3 == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method).unix_permissions(*mode);
        zip.start_file(format!("app/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.add_directory("app/empty", SimpleFileOptions::default().unix_permissions(0o750)).unwrap();
    zip.finish().unwrap().into_inner()
}

/// Bytes that do not compress.
fn noise(seed: u32, length: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..length).map(|_| next()).collect()
}

fn release(changed: &[usize]) -> Files {
    (0..10_usize)
        .map(|n| {
            let seed = u32::try_from(n).unwrap() + if changed.contains(&n) { 100 } else { 0 };
            (
                format!("lib/part{}/file{n}.jar", n % 3),
                0o644 + u32::try_from(n % 2).unwrap() * 0o111,
                noise(seed, 9_000),
            )
        })
        .collect()
}

fn desired_at(bench: &Bench, at: &str, bytes: &[u8]) -> Operation {
    let destination = AbsPath::parse(at).unwrap();
    fs::create_dir_all(bench.real(destination.parent().as_str())).unwrap();
    Operation::Archive(Archive { destination, max_bytes: 1 << 24, ..desired(bench, Format::Zip, bytes) })
}

/// A host with the release `old`, put there by us.
fn host(old: &[u8]) -> Bench {
    let bench = Bench::new();
    assert!(matches!(bench.run(&desired_at(&bench, "/opt/r/1", old), Mode::Apply), Outcome::Changed(_)));
    bench.outlines.set(true);
    bench
}

/// Everything below the folder `at`, except for the stamp's time.
fn tree(bench: &Bench, at: &str) -> BTreeMap<PathBuf, String> {
    let top = bench.real(at);
    let mut tree = BTreeMap::new();
    for (path, what) in bench.snapshot() {
        if let Ok(inside) = path.strip_prefix(&top) {
            let what = if path.ends_with(STAMP) {
                let stamp: Stamp = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                format!("{:o} {}", fs::metadata(&path).unwrap().permissions().mode(), stamp.sha256)
            } else {
                what
            };
            tree.insert(inside.to_path_buf(), what);
        }
    }
    tree
}

/// What the whole zip unpacks to.
fn whole(new: &[u8]) -> BTreeMap<PathBuf, String> {
    let bench = Bench::new();
    assert!(matches!(bench.run(&desired_at(&bench, "/opt/r/2", new), Mode::Apply), Outcome::Changed(_)));
    tree(&bench, "/opt/r/2")
}

/// Brings the release `new`; returns the last note, and how many bytes of parts were sent.
fn renew(bench: &Bench, new: &[u8]) -> (String, Option<u64>) {
    bench.asked.set(0);
    bench.parts_given.set(None);
    let outcome = bench.run(&desired_at(bench, "/opt/r/2", new), Mode::Apply);
    let Outcome::Changed(done) = outcome else { panic!("{outcome:?}") };
    let left = fs::read_dir(bench.real("/opt/r")).unwrap().flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().contains("unpack-")));
    assert_eq!(tree(bench, "/opt/r/2"), whole(new));
    (done.changes.last().unwrap().to_string(), bench.parts_given.get())
}

#[test]
fn only_what_changed_is_asked_for() {
    let (old, new) = (zipped(&release(&[])), zipped(&release(&[4])));
    let bench = host(&old);
    let (told, parts) = renew(&bench, &new);
    assert_eq!(bench.asked.get(), 0, "the whole zip is not asked for");
    assert!((9_000..9_200).contains(&parts.unwrap()), "{parts:?}");
    assert!(told.contains("taken from 1") && told.contains(" sent"), "{told}");
}

#[test]
fn another_zip_of_the_very_same_files_sends_nothing_but_its_outline() {
    let mut files = release(&[]);
    let old = zipped(&files);
    files.reverse();
    let bench = host(&old);
    let (_, parts) = renew(&bench, &zipped(&files));
    assert_eq!((parts, bench.asked.get()), (None, 0));
}

#[test]
fn what_was_edited_or_deleted_or_replaced_on_the_host_is_sent() {
    let (old, new) = (zipped(&release(&[])), zipped(&release(&[0])));
    let bench = host(&old);
    let at = |n: usize| bench.real(&format!("/opt/r/1/lib/part{}/file{n}.jar", n % 3));
    let mut edited = fs::read(at(1)).unwrap();
    edited[4_000] ^= 1;
    fs::write(at(1), &edited).unwrap();
    fs::remove_file(at(2)).unwrap();
    fs::remove_file(at(3)).unwrap();
    symlink("/dev/zero", at(3)).unwrap();
    fs::set_permissions(at(5), fs::Permissions::from_mode(0o600)).unwrap();
    let (_, parts) = renew(&bench, &new);
    assert!((36_000..37_000).contains(&parts.unwrap()), "{parts:?}");
    assert_eq!(bench.asked.get(), 0);
    assert_eq!(fs::read(at(1)).unwrap(), edited, "the release before is left as it is");
}

#[test]
fn modes_are_those_of_the_new_zip() {
    let old = release(&[]);
    let new: Files = old.iter().map(|(name, _, bytes)| (name.clone(), 0o755, bytes.clone())).collect();
    let (_, parts) = renew(&host(&zipped(&old)), &zipped(&new));
    assert_eq!(parts, None);
}

#[test]
fn copies_are_files_of_their_own() {
    let (old, new) = (zipped(&release(&[])), zipped(&release(&[4])));
    let bench = host(&old);
    renew(&bench, &new);
    fs::write(bench.real("/opt/r/1/lib/part0/file0.jar"), "written by the server").unwrap();
    assert_eq!(tree(&bench, "/opt/r/2"), whole(&new));
}

#[test]
fn where_little_is_the_same_the_zip_comes_whole() {
    let (old, new) = (zipped(&release(&[])), zipped(&release(&[0, 1, 2, 3, 4, 5, 6, 7])));
    let bench = host(&old);
    let (_, parts) = renew(&bench, &new);
    assert_eq!((parts, bench.asked.get()), (None, 1));
}

#[test]
fn a_folder_that_is_not_ours_gives_nothing() {
    let (old, new) = (zipped(&release(&[])), zipped(&release(&[4])));
    let bench = host(&old);
    fs::remove_file(bench.real("/opt/r/1").join(STAMP)).unwrap();
    let (_, parts) = renew(&bench, &new);
    assert_eq!((parts, bench.asked.get()), (None, 1));
}

#[test]
fn parts_that_are_not_what_they_should_be_are_thrown_away_and_the_zip_comes_whole() {
    let (old, new) = (zipped(&release(&[])), zipped(&release(&[3, 4])));
    let spoils: [Spoil; 4] =
        [|bytes| bytes[200] ^= 1, Vec::clear, |bytes| bytes.truncate(9_000), |bytes| bytes.fill(b'P')];
    for spoil in spoils {
        let bench = host(&old);
        bench.spoils.set(Some(spoil));
        let (told, parts) = renew(&bench, &new);
        assert!(parts.is_some() && bench.asked.get() == 1, "{told}");
    }
}

#[test]
fn a_link_that_is_lost_leaves_nothing() {
    let (old, new) = (zipped(&release(&[])), zipped(&release(&[4])));
    let bench = host(&old);
    let desired = desired_at(&bench, "/opt/r/2", &new);
    bench.breaks.set(true);
    let before = bench.snapshot();
    assert!(bench.run(&desired, Mode::Apply).is_failure());
    assert_eq!(bench.snapshot(), before);
    bench.breaks.set(false);
    renew(&bench, &new);
}

#[test]
fn unusual_zips_have_no_outline_and_outlines_that_are_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let outlined = |bytes: &[u8]| {
        let path = dir.path().join("zip");
        fs::write(&path, bytes).unwrap();
        outline::Outline::of(&path)
    };
    assert_eq!(outlined(&good_zip()).unwrap(), None, "it holds a link");
    let good = zipped(&release(&[]));
    assert_eq!(outlined(&[b"before", good.as_slice()].concat()).unwrap(), None);
    assert!(outlined(&tar_gz(&[])).is_err());
    let made = outlined(&good).unwrap().unwrap();
    let bytes = made.to_bytes().unwrap();
    assert_eq!(outline::Outline::read(bytes.as_slice()).unwrap(), made);
    assert_eq!(made.size(), good.len() as u64);
    assert!(outline::Outline::read(&bytes[..bytes.len() / 2]).is_err());
    assert!(outline::Outline::read(&b"nonsense"[..]).is_err());
}

/// What happens to a file between two releases, and on the host.
#[derive(Debug, Clone)]
struct Fate {
    old: Option<u8>,
    new: Option<(u8, u32)>,
    edited: Option<u8>,
}

fn fate() -> impl Strategy<Value = Fate> {
    let modes = prop_oneof![Just(0o644), Just(0o755), Just(0o600)];
    (
        proptest::option::weighted(0.9, 0..2_u8),
        proptest::option::weighted(0.9, (0..2_u8, modes)),
        proptest::option::weighted(0.1, 0..4_u8),
    )
        .prop_map(|(old, new, edited)| Fate { old, new, edited })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_changed_the_tree_is_that_of_the_whole_zip(fates in proptest::collection::vec(fate(), 1..25)) {
        let name = |n: usize| format!("{}/{n}", ["a", "b/c", "b"][n % 3]);
        let bytes = |n: usize, which: u8| noise(u32::try_from(n * 2 + usize::from(which)).unwrap(), 50 + u32::try_from(n * 37).unwrap());
        let (mut old, mut new) = (Files::new(), Files::new());
        for (n, fate) in fates.iter().enumerate() {
            old.extend(fate.old.map(|which| (name(n), 0o644, bytes(n, which))));
            new.extend(fate.new.map(|(which, mode)| (name(n), mode, bytes(n, which))));
        }
        let bench = host(&zipped(&old));
        for (n, fate) in fates.iter().enumerate() {
            let path = bench.real(&format!("/opt/r/1/{}", name(n)));
            if let (Some(_), Some(edited)) = (fate.old, fate.edited) {
                match edited {
                    0 => fs::remove_file(path).unwrap(),
                    1 => fs::write(path, "edited").unwrap(),
                    other => fs::write(path, bytes(n, other - 2)).unwrap(),
                }
            }
        }
        renew(&bench, &zipped(&new));
    }
}
