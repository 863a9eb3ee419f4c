//! Why a file cannot be had.

use std::path::PathBuf;

use apim_protocol::value::Sha256;

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// It is something else than it should be.
    #[error("{name} is not what the inventory says: {from} has SHA-256 {found}, wanted is {wanted}")]
    WrongDigest {
        /// Its name.
        name: String,
        /// Where it was read or fetched.
        from: String,
        /// The digest that it has.
        found: Sha256,
        /// The digest that it should have.
        wanted: Sha256,
    },
    /// It cannot be read.
    #[error("cannot read {name} from `{path}`", path = .path.display())]
    Unreadable {
        /// Its name.
        name: String,
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be written into the cache.
    #[error("cannot keep {name} in the cache at `{path}`", path = .path.display())]
    Cache {
        /// Its name.
        name: String,
        /// Where it should go.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be fetched.
    #[error("cannot fetch {name} from {url}: {why}")]
    Fetch {
        /// Its name.
        name: String,
        /// Whence, without a password.
        url: String,
        /// What happened, after how many attempts.
        why: String,
    },
    /// It is longer than any file should be.
    #[error("{name} from {url} is too long: more than {limit} bytes")]
    TooLong {
        /// Its name.
        name: String,
        /// Whence, without a password.
        url: String,
        /// The most bytes.
        limit: u64,
    },
}

impl ArtifactError {
    /// Returns what to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::WrongDigest { .. } => {
                "fetch it again, or correct the digest in the inventory if you trust this file; no host was contacted"
            }
            Self::Unreadable { .. } => {
                "put it there, or say where it is: `apim.distributions.source` (relative paths start at the inventory's folder)"
            }
            Self::Cache { .. } => {
                "make room and make the folder writable, or choose another one with --cache-dir"
            }
            Self::Fetch { .. } => {
                "see that the URL opens from this machine (a proxy is set with `apim.distributions.proxy` or HTTPS_PROXY); \
                 what was fetched so far is kept"
            }
            Self::TooLong { .. } => "see that the URL names the file and not something else",
        }
    }
}
