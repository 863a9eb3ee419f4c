//! The stand-in distributions that tests deploy; built once and shared by all tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::cli::{program, target};

/// A folder of distributions, with the digest of each file.
#[derive(Debug, Clone)]
pub struct Distributions {
    folder: PathBuf,
    sums: BTreeMap<String, String>,
}

impl Distributions {
    /// Returns the distributions. Builds them if they are missing or older than their sources.
    ///
    /// # Panics
    /// If they cannot be built.
    #[must_use]
    pub fn ready() -> Self {
        let folder = target().parent().expect("the target folder").join("distributions");
        fs::create_dir_all(&folder).expect("the distributions' folder");
        let lock = rustix::fs::open(
            folder.join(".lock"),
            OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC,
            Mode::from(0o644),
        )
        .expect("a lock file");
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).expect("the lock");
        let (builder, server) = (program("standin"), program("standin-server"));
        let built = changed(&folder.join("SHA256SUMS"));
        if built.is_none() || built < changed(&builder) || built < changed(&server) {
            let output =
                Command::new(&builder).args(["build", "--out"]).arg(&folder).output().expect("standin runs");
            assert!(output.status.success(), "standin build: {}", String::from_utf8_lossy(&output.stderr));
        }
        Self::at(&folder)
    }

    /// Returns the distributions in `folder`.
    ///
    /// # Panics
    /// If its `SHA256SUMS` cannot be read.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("SHA256SUMS")).expect("SHA256SUMS");
        let sums = text
            .lines()
            .filter_map(|line| line.split_once("  "))
            .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
            .collect();
        Self { folder: folder.to_owned(), sums }
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the SHA-256 of the file of that name.
    ///
    /// # Panics
    /// If the file does not exist.
    #[must_use]
    pub fn digest(&self, name: &str) -> &str {
        self.sums.get(name).unwrap_or_else(|| panic!("no {name} in {}", self.folder.display()))
    }

    /// Copies the distributions to `folder`, where a test can damage them.
    ///
    /// # Panics
    /// If they cannot be copied.
    #[must_use]
    pub fn copied_to(&self, folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder for copies");
        for name in self.sums.keys() {
            fs::copy(self.folder.join(name), folder.join(name)).expect("a copy");
        }
        Self { folder: folder.to_owned(), sums: self.sums.clone() }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}
