//! What can go wrong in the machine lab.

use std::io;
use std::path::PathBuf;

/// Why the lab did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// This machine cannot run one.
    #[error("this machine cannot run the machine lab: {0}")]
    Unsupported(String),
    /// Somebody else's is up.
    #[error("a lab is up already ({0}); take it down first: `lab down`")]
    Busy(String),
    /// None is up.
    #[error("no lab is up; bring one up: `lab up --topology ha`")]
    NotUp,
    /// A host that is not part of it.
    #[error("no host `{name}` in this lab (it has: {known})")]
    NoSuchHost {
        /// The name asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A host in the wrong state.
    #[error("host `{host}` {what}")]
    Host {
        /// Its name.
        host: String,
        /// What is wrong.
        what: String,
    },
    /// A program that could not be started.
    #[error("cannot start `{program}`")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program that failed.
    #[error("`{command}` ended with {status}: {stderr}")]
    Command {
        /// What was run.
        command: String,
        /// Its exit status.
        status: i32,
        /// What it said.
        stderr: String,
    },
    /// A file that could not be read or written.
    #[error("cannot {what} `{path}`")]
    File {
        /// What was attempted.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Names that do not make a lab.
    #[error("{0}")]
    Topology(String),
}

impl LabError {
    pub(super) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
