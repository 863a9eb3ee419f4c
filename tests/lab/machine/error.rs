//! Errors of the machine lab.

use std::io;
use std::path::PathBuf;

/// An error of the machine lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// This machine cannot run one.
    #[error("this machine cannot run the machine lab: {0}")]
    Unsupported(String),
    /// Another lab is running.
    #[error("a lab is already running ({0}); stop it first: `lab down`")]
    Busy(String),
    /// No lab is running.
    #[error("no lab is running; start one: `lab up --topology ha`")]
    NotUp,
    /// The host does not exist.
    #[error("unknown host `{name}`; hosts: {known}")]
    NoSuchHost {
        /// The requested name.
        name: String,
        /// The existing hosts.
        known: String,
    },
    /// A host has a problem.
    #[error("host `{host}` {what}")]
    Host {
        /// The name of the host.
        host: String,
        /// The problem.
        what: String,
    },
    /// A program cannot be started.
    #[error("cannot start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed with exit code {status}: {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// The exit code.
        status: i32,
        /// Its standard error.
        stderr: String,
    },
    /// An operation on a file failed.
    #[error("cannot {what} `{path}`")]
    File {
        /// What was attempted.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The list of hosts is invalid.
    #[error("{0}")]
    Topology(String),
}

impl LabError {
    pub(super) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
