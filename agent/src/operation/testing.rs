//! A test bench for operations: a host below a temporary root, and an orchestrator's side.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use apim_protocol::operation::archive::outline::Outline;
use apim_protocol::operation::archive::part;
use apim_protocol::operation::archive::part::Part;
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::{Failure, Outcome};
use apim_protocol::value::{AbsPath, Content, Sha256, UnitName};

use crate::operation::converge;
use crate::operation::support::arrival::Arrival;
use crate::operation::support::dialogue::{Dialogue, Report};
use crate::system::System;

/// Does something to bytes that are on their way.
pub(crate) type Spoil = fn(&mut Vec<u8>);

/// A host below a temporary root.
pub(crate) struct Bench {
    pub(crate) system: System,
    contents: RefCell<BTreeMap<Sha256, PathBuf>>,
    /// How often content was asked for.
    pub(crate) asked: Cell<u32>,
    /// Into how many pieces content is cut that is read while it arrives; 0 when it is always there at once.
    pub(crate) pieces: Cell<usize>,
    /// What happens instead of the end of such content.
    pub(crate) breaks: Cell<bool>,
    /// Whether zips have outlines here.
    pub(crate) outlines: Cell<bool>,
    /// How many bytes of parts were given.
    pub(crate) parts_given: Cell<Option<u64>>,
    /// What is done to parts before they are given.
    pub(crate) spoils: Cell<Option<Spoil>>,
    /// What is seen after each piece.
    pub(crate) seen: RefCell<Vec<BTreeMap<PathBuf, String>>>,
    dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let system = System::new(Some(root), Some(dir.path().join("state"))).unwrap();
        Self {
            system,
            contents: RefCell::default(),
            asked: Cell::new(0),
            pieces: Cell::new(0),
            breaks: Cell::new(false),
            outlines: Cell::new(false),
            parts_given: Cell::new(None),
            spoils: Cell::new(None),
            seen: RefCell::default(),
            dir,
        }
    }

    /// A bench where content is there at once, and one where it is read while it arrives.
    pub(crate) fn both() -> [Self; 2] {
        let [at_once, piecemeal] = [Self::new(), Self::new()];
        piecemeal.pieces.set(7);
        [at_once, piecemeal]
    }

    /// Gives `path` piece by piece, each when the one before it was read.
    fn give(&self, path: &Path, arrival: &Arrival) {
        let bytes = fs::read(path).unwrap();
        let mut file = tempfile::tempfile_in(self.dir.path()).unwrap();
        arrival.begin(file.try_clone().unwrap(), 0);
        arrival.await_reader();
        let mut here = 0;
        for piece in bytes.chunks(bytes.len().div_ceil(self.pieces.get()).max(1)) {
            file.write_all(piece).unwrap();
            here += piece.len() as u64;
            arrival.grown(here);
            arrival.await_reader();
            self.seen.borrow_mut().push(self.snapshot());
        }
    }

    /// Keeps `bytes` ready for an operation that asks for them.
    pub(crate) fn content(&self, bytes: &[u8]) -> Content {
        let content = Content::of(bytes);
        let path = self.dir.path().join(content.sha256.to_string());
        fs::write(&path, bytes).unwrap();
        self.contents.borrow_mut().insert(content.sha256, path);
        content
    }

    /// Returns where `path` really lies, links resolved.
    pub(crate) fn real(&self, path: &str) -> PathBuf {
        self.system.resolve(&AbsPath::parse(path).unwrap())
    }

    /// Returns where `path` really lies when it is a link itself.
    pub(crate) fn real_itself(&self, path: &str) -> PathBuf {
        self.system.root().join(path.trim_start_matches('/'))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let real = self.real(path);
        fs::create_dir_all(real.parent().unwrap()).unwrap();
        fs::write(real, text).unwrap();
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.real(path)).unwrap()
    }

    pub(crate) fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.real(path)).unwrap().mode() & 0o7777
    }

    pub(crate) fn owner(&self, path: &str) -> (u32, u32) {
        let data = fs::metadata(self.real(path)).unwrap();
        (data.uid(), data.gid())
    }

    pub(crate) fn run(&self, operation: &Operation, mode: Mode) -> Outcome {
        converge(operation, mode, &self.system, &mut Answers(self))
    }

    /// Returns the orchestrator's side.
    pub(crate) fn dialogue(&self) -> impl Dialogue {
        Answers(self)
    }

    /// Looks (something is to do, nothing is done), applies (it is done), looks and applies again (nothing is to do).
    pub(crate) fn assert_converges(&self, operation: &Operation) -> Outcome {
        let before = self.snapshot();
        let looked = self.run(operation, Mode::Check);
        assert!(matches!(looked, Outcome::WouldChange(_)), "first look: {looked:?}");
        assert_eq!(self.snapshot(), before, "a look changed the host");
        let applied = self.run(operation, Mode::Apply);
        assert!(matches!(applied, Outcome::Changed(_)), "apply: {applied:?}");
        let after = self.snapshot();
        let asked = self.asked.get();
        assert_eq!(self.run(operation, Mode::Check), Outcome::Ok, "second look");
        assert_eq!(self.run(operation, Mode::Apply), Outcome::Ok, "second apply");
        assert_eq!(self.snapshot(), after, "a second apply changed the host");
        assert_eq!(self.asked.get(), asked, "a second apply asked for content");
        applied
    }

    /// Returns every path below the root with what it is.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut todo = vec![self.system.root().to_path_buf()];
        while let Some(path) = todo.pop() {
            let data = fs::symlink_metadata(&path).unwrap();
            let what = if data.is_dir() {
                todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                "folder".to_owned()
            } else if data.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else {
                Sha256::of(&fs::read(&path).unwrap()).to_string()
            };
            found.insert(path, format!("{:o} {}:{} {what}", data.mode(), data.uid(), data.gid()));
        }
        found
    }
}

struct Answers<'a>(&'a Bench);

impl Dialogue for Answers<'_> {
    fn content(&mut self, content: &Content) -> Result<PathBuf, Failure> {
        self.0.asked.set(self.0.asked.get() + 1);
        let known = self.0.contents.borrow().get(&content.sha256).cloned();
        known.ok_or_else(|| Failure::new("no such content on the bench"))
    }

    fn content_arriving(&mut self, content: &Content, arrival: &Arrival) -> Result<PathBuf, Failure> {
        let path = self.content(content)?;
        if self.0.pieces.get() > 0 {
            self.0.give(&path, arrival);
        }
        if self.0.breaks.get() { Err(Failure::new("the link is gone")) } else { Ok(path) }
    }

    fn outline(&mut self, content: &Content) -> Result<Option<PathBuf>, Failure> {
        let known = self.0.contents.borrow().get(&content.sha256).cloned();
        let Some(zip) = known.filter(|_| self.0.outlines.get()) else { return Ok(None) };
        let Some(outline) = Outline::of(&zip).unwrap() else { return Ok(None) };
        let path = zip.with_extension("outline");
        fs::write(&path, outline.to_bytes().unwrap()).unwrap();
        Ok(Some(path))
    }

    fn parts(&mut self, content: &Content, parts: &[Part]) -> Result<PathBuf, Failure> {
        let zip = self.0.contents.borrow().get(&content.sha256).cloned().unwrap();
        let bytes = fs::read(&zip).unwrap();
        self.0.parts_given.set(Some(part::total(parts, content.size).unwrap()));
        let range =
            |part: &Part| usize::try_from(part.from).unwrap()..usize::try_from(part.end().unwrap()).unwrap();
        let mut given: Vec<u8> = parts.iter().flat_map(|part| bytes[range(part)].to_vec()).collect();
        if let Some(spoil) = self.0.spoils.get() {
            spoil(&mut given);
        }
        if self.0.breaks.get() {
            return Err(Failure::new("the link is gone"));
        }
        let path = zip.with_extension("parts");
        fs::write(&path, given).unwrap();
        Ok(path)
    }

    fn permit(&mut self, _: &UnitName, _: &str) -> Result<(), Failure> {
        Ok(())
    }
}

impl Report for Answers<'_> {
    fn progress(&mut self, _: &str, _: u64, _: u64) {}

    fn entries(&mut self, _: Vec<apim_protocol::observation::LogEntry>, _: bool) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}
