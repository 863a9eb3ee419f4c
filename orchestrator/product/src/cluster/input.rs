//! The input of a cluster: hosts of the inventory, and the files that their settings refer to.

use std::io;
use std::path::PathBuf;

use crate::yaml;

/// One host, as read from the inventory.
#[derive(Debug, Clone)]
pub struct HostInput {
    /// Its name in the inventory.
    pub name: String,
    /// The SSH address: a name or an IP address.
    pub address: String,
    /// All its groups including parent groups, the closest last.
    pub groups: Vec<String>,
    /// Its merged variable `apim`.
    pub apim: yaml::Node,
    /// The location of the host in the inventory.
    pub place: yaml::Span,
}

/// A file that settings refer to cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`: {source}", path.display())]
pub struct FileError {
    /// The path, complete.
    pub path: PathBuf,
    /// The error of the operating system.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// Returns the error for a file that does not exist.
    #[must_use]
    pub fn missing(path: &str) -> Self {
        Self { path: path.into(), source: io::ErrorKind::NotFound.into() }
    }
}

/// Reads files that settings refer to, such as keystores.
pub trait FileReader {
    /// Returns the content of `path`. A relative path starts at the folder of the file that `place`
    /// is in.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &str, place: &yaml::Span) -> Result<Vec<u8>, FileError>;
}

impl<F: Fn(&str, &yaml::Span) -> Result<Vec<u8>, FileError>> FileReader for F {
    fn read(&self, path: &str, place: &yaml::Span) -> Result<Vec<u8>, FileError> {
        self(path, place)
    }
}
