//! What an archive holds, looked at before anything is written: names, kinds, sizes, and the single top folder.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;

use apim_protocol::operation::archive::Archive;
use apim_protocol::outcome::Failure;

use crate::system::{Inside, Tree, TreeError};

/// The longest target of a link in an archive, in bytes.
pub(super) const MAX_LINK: u64 = 4096;

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    /// A name that leads out, or cannot be used.
    #[error("the archive's entry `{name}` {why}")]
    Name { name: String, why: &'static str },
    /// A kind of entry that is never unpacked.
    #[error("the archive's entry `{name}` is {kind}, which is never unpacked")]
    Entry { name: String, kind: &'static str },
    /// A link that leads out.
    #[error("the archive's link `{name}` points to `{target}`, which may lie outside")]
    Link { name: String, target: String },
    /// More entries than allowed.
    #[error("the archive holds more than {0} entries")]
    TooMany(u64),
    /// More bytes than allowed.
    #[error("the archive says that it unpacks to {declared} bytes, and {max} are allowed")]
    TooMuch { declared: u64, max: u64 },
    /// Bytes that several entries share: a bomb.
    #[error("the archive's entries lie over each other, as in an archive made to fill disks")]
    Overlap,
    /// More than one top folder, or none.
    #[error("the archive has no single top folder: it holds `{0}` and `{1}`")]
    Tops(String, String),
    /// A file at the top, where a single folder is expected.
    #[error("the archive has no top folder: `{0}` lies at its top")]
    NoTop(String),
    /// The archive itself cannot be read.
    #[error("the archive cannot be read")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Writing failed, or the content breaks a rule that shows only then.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl UnpackError {
    pub(super) fn read(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Read(error.into())
    }

    pub(super) fn failure(&self, what: String) -> Failure {
        let hint = match self {
            Self::Tree(TreeError::Io { source, .. }) => match source.kind() {
                std::io::ErrorKind::StorageFull => "free some space on that file system, then run again",
                _ => "run again; nothing was put into place",
            },
            Self::TooMuch { .. } | Self::Tree(TreeError::TooMuch(_)) | Self::TooMany(_) => {
                "if the archive is what it should be, raise the cap on its unpacked size"
            }
            _ => "nothing was put into place; look where the archive comes from",
        };
        Failure::from_error(what, self).hint(hint)
    }
}

/// Returns what did not work, for people.
pub(super) fn what(archive: &Archive) -> String {
    let (archive, at) = (archive.source.sha256().short(), &archive.destination);
    format!("the archive {archive}… could not be unpacked at `{at}`")
}

/// Shows a name that an archive gives.
pub(super) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().filter(|c| !c.is_control()).take(200).collect()
}

/// An archive that is unpacked, but for links and the modes of folders.
pub(super) struct Unpacked {
    pub(super) tree: Tree,
    pub(super) names: Names,
    /// The archive itself; `None` when it did not come as a whole.
    pub(super) file: Option<PathBuf>,
    /// How it was received, for people.
    pub(super) note: Option<String>,
}

/// Collects the names of an archive, strips the top, and refuses what must not be.
#[derive(Debug)]
pub(super) struct Names {
    strip_top: bool,
    max_entries: u64,
    top: Option<OsString>,
    count: u64,
    files: HashMap<PathBuf, ()>,
    pub(super) folders: BTreeMap<Inside, u32>,
    pub(super) links: BTreeMap<Inside, String>,
    pub(super) top_mode: u32,
}

/// The kinds of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    File,
    Folder(u32),
}

impl Names {
    pub(super) fn new(strip_top: bool, max_entries: u64) -> Self {
        Self {
            strip_top,
            max_entries,
            top: None,
            count: 0,
            files: HashMap::new(),
            folders: BTreeMap::new(),
            links: BTreeMap::new(),
            top_mode: 0o755,
        }
    }

    /// Takes the next name in; returns where it goes, `None` for the top itself.
    pub(super) fn add(&mut self, name: &[u8], entry: Entry) -> Result<Option<Inside>, UnpackError> {
        let Some(path) = self.place(name, matches!(entry, Entry::Folder(_)))? else {
            if let Entry::Folder(mode) = entry {
                self.top_mode = mode;
            }
            return Ok(None);
        };
        match entry {
            Entry::File => self.claim(&path)?,
            Entry::Folder(mode) => {
                self.folders.insert(path.clone(), mode);
            }
        }
        self.add_parents(&path);
        Ok(Some(path))
    }

    /// Takes a symbolic link in; returns where it goes.
    pub(super) fn add_link(&mut self, name: &[u8], target: &[u8]) -> Result<Inside, UnpackError> {
        let path = self.place(name, false)?;
        let text = std::str::from_utf8(target).unwrap_or_default();
        let Some(path) = path.filter(|path| path.holds_link(text)) else {
            return Err(UnpackError::Link { name: shown(name), target: shown(target) });
        };
        self.claim(&path)?;
        self.add_parents(&path);
        self.links.insert(path.clone(), text.to_owned());
        Ok(path)
    }

    /// Returns where a name that was taken in before went to.
    pub(super) fn find(&self, name: &[u8]) -> Option<Inside> {
        let path = Inside::parse(name).ok()??;
        let path = if self.strip_top { path.split_top().1? } else { path };
        self.files.contains_key(path.as_path()).then_some(path)
    }

    fn place(&mut self, name: &[u8], is_folder: bool) -> Result<Option<Inside>, UnpackError> {
        self.count += 1;
        if self.count > self.max_entries {
            return Err(UnpackError::TooMany(self.max_entries));
        }
        let path = Inside::parse(name).map_err(|why| UnpackError::Name { name: shown(name), why })?;
        let Some(path) = path.filter(|_| true) else { return Ok(None) };
        if !self.strip_top {
            return Ok(Some(path));
        }
        let (top, rest) = path.split_top();
        match &self.top {
            Some(known) if known != top => {
                return Err(UnpackError::Tops(known.to_string_lossy().into_owned(), shown(name)));
            }
            Some(_) => {}
            None => self.top = Some(top.to_os_string()),
        }
        if rest.is_none() && !is_folder {
            return Err(UnpackError::NoTop(shown(name)));
        }
        Ok(rest)
    }

    fn claim(&mut self, path: &Inside) -> Result<(), UnpackError> {
        if self.files.insert(path.as_path().to_path_buf(), ()).is_some() || self.folders.contains_key(path) {
            return Err(TreeError::Twice(path.as_path().to_path_buf()).into());
        }
        Ok(())
    }

    /// Folders that the archive does not name are made too.
    fn add_parents(&mut self, path: &Inside) {
        for parent in path.as_path().ancestors().skip(1) {
            if let Some(text) = parent.to_str()
                && let Ok(Some(parent)) = Inside::parse(text.as_bytes())
            {
                self.folders.entry(parent).or_insert(0o755);
            }
        }
    }
}
