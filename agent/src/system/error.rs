//! What can go wrong at the door to the host.

use std::path::{Path, PathBuf};

use apim_protocol::outcome::Failure;

/// Why the host could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// The kernel refused.
    #[error("cannot {attempt} `{path}`")]
    Io {
        /// What was attempted, such as `read`.
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// Something else than expected exists at a path.
    #[error("`{path}` is {found}")]
    InTheWay {
        /// Where.
        path: PathBuf,
        /// What exists there, with its article.
        found: String,
    },
    /// A link on the path belongs to another account, which could redirect it.
    #[error(
        "`{path}` leads through a symbolic link of another account (uid {uid}); such links are not followed"
    )]
    ForeignLink {
        /// The path that was walked.
        path: PathBuf,
        /// The link's owner.
        uid: u32,
    },
    /// A path leads through too many links.
    #[error("`{path}` leads through more than 40 symbolic links")]
    LinkLoop {
        /// The path that was walked.
        path: PathBuf,
    },
    /// A file is larger than what is read at once.
    #[error("`{path}` is larger than {limit} bytes")]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// No such account or group.
    #[error("no {kind} `{name}` on this host")]
    Unknown {
        /// `account` or `group`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A program could not be started.
    #[error("cannot start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A state file does not hold what it should.
    #[error("the state file `{path}` is not readable as what it should be")]
    State {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl SystemError {
    pub(crate) fn io(
        attempt: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<std::io::Error>,
    ) -> Self {
        Self::Io { attempt, path: path.as_ref().to_path_buf(), source: source.into() }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } | Self::Start { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => Some(
                    "the agent lacks the right to do this: use become, or check the folder's owner and mode",
                ),
                std::io::ErrorKind::StorageFull => {
                    Some("free some space on that file system, then run again")
                }
                std::io::ErrorKind::ReadOnlyFilesystem => Some("the file system is mounted read-only"),
                _ => None,
            },
            Self::InTheWay { .. } => Some("move it away if it is not needed, then run again"),
            Self::ForeignLink { .. } => Some("replace the link by a folder, or make root its owner"),
            Self::State { .. } => Some("move the file away; its content is then rebuilt"),
            Self::LinkLoop { .. } | Self::TooLarge { .. } | Self::Unknown { .. } => None,
        }
    }
}

impl From<SystemError> for Failure {
    fn from(error: SystemError) -> Self {
        let hint = error.hint();
        let mut failure = Self::from_error(error.to_string(), &error);
        failure.causes.remove(0);
        failure.hint = hint.map(str::to_owned);
        failure
    }
}
