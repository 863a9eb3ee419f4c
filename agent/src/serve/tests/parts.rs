//! Parts of a zip over the wire: asked for where a former release has the rest, kept when the link breaks, and never trusted.

use std::io::Write as _;

use apim_protocol::operation::archive::outline::Outline;
use apim_protocol::operation::archive::part::Part;
use apim_protocol::operation::archive::{Archive, Format, Source, part};

use super::*;

/// A zip of ten files that do not compress; the last `others` of them are not those of every such zip.
fn zip(others: u32) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for n in 0..10_u32 {
        let mut state = n * 2 + 1 + if n >= 10 - others { 1000 } else { 0 };
        let bytes: Vec<u8> = (0..30_000)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_le_bytes()[1]
            })
            .collect();
        let options =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(format!("app/{n}"), options).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn archive(bytes: &[u8], at: &str) -> Operation {
    Operation::Archive(Archive {
        source: Source::Pushed(Content::of(bytes)),
        format: Format::Zip,
        destination: AbsPath::parse(at).unwrap(),
        strip_top: true,
        owner: Owner::default(),
        prepare: Vec::new(),
        max_bytes: 1 << 30,
        max_entries: 100,
    })
}

/// A host with the release before it, and the outline of the one that is to come.
fn upgraded(dir: &tempfile::TempDir, new: &[u8]) -> Vec<u8> {
    let old = zip(0);
    let mut talk = Talk::open(dir, true);
    fs::create_dir(talk.root.join("opt")).unwrap();
    talk.say(&run(1, Mode::Apply, archive(&old, "/opt/one")));
    talk.need();
    talk.send(&Sha256::of(&old), 0, &old);
    assert!(matches!(talk.outcome(1), Outcome::Changed(_)));
    assert!(talk.hang_up().is_ok());
    let path = dir.path().join("new.zip");
    fs::write(&path, new).unwrap();
    Outline::of(&path).unwrap().unwrap().to_bytes().unwrap()
}

impl Talk {
    /// Goes on to the parts that are asked for, giving the outline; returns them, and how much of them is here.
    fn parts(&mut self, new: &[u8], outline: &[u8]) -> (Vec<Part>, u64) {
        loop {
            match self.hear() {
                Reply::Started { .. } | Reply::Progress { .. } => {}
                Reply::Outline { sha256, .. } => {
                    assert_eq!(sha256, Sha256::of(new));
                    self.say(&Request::Outline { sha256, outline: Some(Content::of(outline)) });
                }
                Reply::Need { sha256, .. } => {
                    assert_eq!(sha256, Sha256::of(outline));
                    self.send(&sha256, 0, outline);
                }
                Reply::NeedParts { sha256, size, parts, offset, .. } => {
                    assert_eq!((sha256, size), (Sha256::of(new), new.len() as u64));
                    assert!(part::total(&parts, size).is_some());
                    return (parts, offset);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn cut(bytes: &[u8], parts: &[Part]) -> Vec<u8> {
    let range = |part: &Part| part.from as usize..(part.from + part.length) as usize;
    parts.iter().flat_map(|part| bytes[range(part)].to_vec()).collect()
}

#[test]
fn parts_that_came_before_the_link_broke_are_not_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let new = zip(2);
    let (sha256, outline) = (Sha256::of(&new), upgraded(&dir, &new));
    let mut talk = Talk::open(&dir, true);
    talk.say(&run(1, Mode::Apply, archive(&new, "/opt/two")));
    let (parts, offset) = talk.parts(&new, &outline);
    let bytes = cut(&new, &parts);
    assert!(offset == 0 && (60_000..61_000).contains(&bytes.len()), "{}", bytes.len());
    talk.send(&sha256, 0, &bytes[..40_000]);
    assert!(talk.hang_up().is_ok());
    let opt = dir.path().join("root/opt");
    assert_eq!(fs::read_dir(&opt).unwrap().count(), 1, "nothing is left next to the former release");

    let mut talk = Talk::open(&dir, true);
    talk.say(&run(1, Mode::Apply, archive(&new, "/opt/two")));
    assert_eq!(talk.parts(&new, &outline), (parts, 40_000));
    talk.send(&sha256, 40_000, &bytes[40_000..]);
    assert!(matches!(talk.outcome(1), Outcome::Changed(_)));
    assert!(bytes.ends_with(&fs::read(opt.join("two/9")).unwrap()));
    assert_eq!(fs::read_dir(dir.path().join("state/spool")).unwrap().count(), 0);
}

#[test]
fn wrong_parts_are_thrown_away_and_the_whole_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let new = zip(2);
    let (sha256, outline) = (Sha256::of(&new), upgraded(&dir, &new));
    let mut talk = Talk::open(&dir, true);
    talk.say(&run(1, Mode::Apply, archive(&new, "/opt/two")));
    let (parts, _) = talk.parts(&new, &outline);
    let mut bytes = cut(&new, &parts);
    bytes[1_000] ^= 1;
    talk.send(&sha256, 0, &bytes);
    assert_eq!(talk.need(), (0, new.len() as u64));
    talk.send(&sha256, 0, &new);
    assert!(matches!(talk.outcome(1), Outcome::Changed(_)));
    assert_eq!(fs::read_dir(dir.path().join("state/spool")).unwrap().count(), 0);
}

#[test]
fn without_an_outline_the_whole_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let new = zip(2);
    upgraded(&dir, &new);
    for outline in [None, Some(Content { sha256: Sha256::of(b"big"), size: u64::MAX })] {
        let mut talk = Talk::open(&dir, true);
        talk.say(&run(1, Mode::Apply, archive(&new, "/opt/two")));
        while !matches!(talk.hear(), Reply::Outline { .. }) {}
        talk.say(&Request::Outline { sha256: Sha256::of(&new), outline });
        assert_eq!(talk.need(), (0, new.len() as u64));
        assert!(talk.hang_up().is_ok());
    }
    // An invalid outline is ignored.
    let mut talk = Talk::open(&dir, true);
    talk.say(&run(1, Mode::Apply, archive(&new, "/opt/two")));
    let nonsense = b"nonsense";
    while !matches!(talk.hear(), Reply::Outline { .. }) {}
    talk.say(&Request::Outline { sha256: Sha256::of(&new), outline: Some(Content::of(nonsense)) });
    assert_eq!(talk.need(), (0, nonsense.len() as u64));
    talk.send(&Sha256::of(nonsense), 0, nonsense);
    assert_eq!(talk.need(), (0, new.len() as u64));
}
