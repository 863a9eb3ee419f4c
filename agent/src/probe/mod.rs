//! Looking at a running service from outside: its processes, its sockets, its log, its answers to HTTP.
//!
//! Reads only, knows no operation. All input is untrusted: it is bounded, and made harmless before it is shown.

use std::io;

pub mod clock;
pub mod entries;
pub mod http;
pub mod log;
pub mod name;
pub mod process;
pub mod rotation;
pub mod served;
pub mod socket;
pub mod stamp;
pub mod tail;
pub mod text;

/// Says what of the host could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// A file of `/proc`, or a log, could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Something else than a regular file stands where a log should be.
    #[error(
        "{path} is not a regular file (links are not followed, so that no other file of the host is shown)"
    )]
    NotAFile {
        /// Which.
        path: String,
    },
    /// The open files of another account's process are for root only.
    #[error("the sockets of process {pid} can be read as root only; run with become")]
    Forbidden {
        /// Which process.
        pid: u32,
    },
}

impl ProbeError {
    pub(crate) fn read(path: impl AsRef<std::path::Path>, source: io::Error) -> Self {
        Self::Read { path: path.as_ref().display().to_string(), source }
    }
}
