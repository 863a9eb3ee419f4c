//! Archives over the wire: unpacked while they arrive, and gone without a trace when they do not.

use std::path::Path;

use apim_protocol::operation::archive::{Archive, Format, Source};

use super::*;

/// Two files that do not compress.
fn tar_gz() -> Vec<u8> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for (name, seed) in [("app/first", 1_u32), ("app/second", 2)] {
        let bytes: Vec<u8> = (0..400_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 11) as u8)
            .collect();
        let mut head = tar::Header::new_gnu();
        head.set_size(bytes.len() as u64);
        head.set_mode(0o644);
        tar.append_data(&mut head, name, &bytes[..]).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn archive(bytes: &[u8]) -> Operation {
    Operation::Archive(Archive {
        source: Source::Pushed(Content::of(bytes)),
        format: Format::TarGz,
        destination: AbsPath::parse("/opt/app").unwrap(),
        strip_top: true,
        owner: Owner::default(),
        prepare: Vec::new(),
        max_bytes: 1 << 30,
        max_entries: 100,
    })
}

/// Says whether a file `name` is in a folder that is not in place yet.
fn is_written(opt: &Path, name: &str) -> bool {
    let found = fs::read_dir(opt).unwrap().flatten().map(|entry| entry.path());
    found.into_iter().any(|path| path.join(name).exists())
}

#[test]
fn an_archive_is_unpacked_while_it_arrives_and_an_upload_that_breaks_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = tar_gz();
    let sha256 = Sha256::of(&bytes);
    let half = bytes.len() * 3 / 4;
    let mut talk = Talk::open(&dir, true);
    let opt = talk.root.join("opt");
    fs::create_dir(&opt).unwrap();
    talk.say(&run(1, Mode::Apply, archive(&bytes)));
    assert_eq!(talk.need().0, 0);
    for (n, part) in bytes[..half].chunks(50_000).enumerate() {
        talk.send(&sha256, n as u64 * 50_000, part);
    }
    while !is_written(&opt, "first") {
        std::thread::yield_now();
    }
    assert!(!opt.join("app").exists(), "it is not in place before its digest held");
    assert!(talk.hang_up().is_ok());
    assert_eq!(fs::read_dir(&opt).unwrap().count(), 0, "nothing is left but what is kept of the upload");

    let mut talk = Talk::open(&dir, true);
    talk.say(&run(1, Mode::Apply, archive(&bytes)));
    assert_eq!(talk.need().0, half as u64);
    talk.send(&sha256, half as u64, &bytes[half..]);
    assert!(matches!(talk.outcome(1), Outcome::Changed(_)));
    assert_eq!(fs::read(opt.join("app/second")).unwrap().len(), 400_000);
    assert_eq!(fs::read_dir(dir.path().join("state/spool")).unwrap().count(), 0);
}

#[test]
fn a_flipped_bit_is_refused_and_nothing_of_it_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = tar_gz();
    let mut wrong = bytes.clone();
    let at = wrong.len() - 9;
    wrong[at] ^= 1;
    let mut talk = Talk::open(&dir, true);
    let opt = talk.root.join("opt");
    fs::create_dir(&opt).unwrap();
    talk.say(&run(1, Mode::Apply, archive(&bytes)));
    talk.need();
    for (n, part) in wrong.chunks(50_000).enumerate() {
        talk.send(&Sha256::of(&bytes), n as u64 * 50_000, part);
    }
    let Outcome::Failed(failure) = talk.outcome(1) else { panic!() };
    assert!(failure.causes[0].contains("thrown away"), "{failure:?}");
    assert_eq!(fs::read_dir(&opt).unwrap().count(), 0);
    assert_eq!(fs::read_dir(dir.path().join("state/spool")).unwrap().count(), 0);
}
