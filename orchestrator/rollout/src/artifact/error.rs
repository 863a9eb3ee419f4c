//! Errors of the artifact cache.

use std::path::PathBuf;

use apim_protocol::value::Sha256;

/// Why an artifact is not available.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The digest differs from the inventory.
    #[error("wrong digest of {name}: {from} has SHA-256 {found}, expected {wanted}")]
    WrongDigest {
        /// The artifact.
        name: String,
        /// The path or URL, without a password.
        from: String,
        /// The actual digest.
        found: Sha256,
        /// The digest in the inventory.
        wanted: Sha256,
    },
    /// The file cannot be read.
    #[error("cannot read {name} from `{path}`", path = .path.display())]
    Unreadable {
        /// The artifact.
        name: String,
        /// The expected path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be written to the cache.
    #[error("cannot write {name} to the cache at `{path}`", path = .path.display())]
    Cache {
        /// The artifact.
        name: String,
        /// The path in the cache.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The download failed.
    #[error("cannot fetch {name} from {url}: {why}")]
    Fetch {
        /// The artifact.
        name: String,
        /// The URL, without a password.
        url: String,
        /// The cause and the number of attempts.
        why: String,
    },
    /// The file exceeds the size limit.
    #[error("{name} from {url} is larger than the limit of {limit} bytes")]
    TooLong {
        /// The artifact.
        name: String,
        /// The URL, without a password.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
}

impl ArtifactError {
    /// Returns a hint on how to fix the error.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::WrongDigest { .. } => {
                "fetch it again, or correct the digest in the inventory if you trust this file; no host was contacted"
            }
            Self::Unreadable { .. } => {
                "copy the file there, or set `apim.distributions.source` (relative paths start at the inventory's folder)"
            }
            Self::Cache { .. } => {
                "check free space and permissions of the folder, or choose another one with --cache-dir"
            }
            Self::Fetch { .. } => {
                "check that this machine can open the URL (set a proxy with `apim.distributions.proxy` or HTTPS_PROXY); \
                 the partial download is kept"
            }
            Self::TooLong { .. } => "check that the URL is the right file",
        }
    }
}
