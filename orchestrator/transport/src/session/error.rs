//! Session errors: what was expected, from which host, and the last message.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use apim_protocol::outcome::Failure;

use crate::failure;

/// Why a session failed or could not be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SessionError {
    /// No agent answered.
    #[error("no agent answered on {peer}: {why}{noise}")]
    NoAgent {
        /// Display name of the host.
        peer: String,
        /// The cause.
        why: String,
        /// Other output of the host, bounded, as indented lines.
        noise: String,
    },
    /// The agent refused the session: another run holds the host's lock.
    #[error("{peer} refused the run: {why}")]
    Refused {
        /// Display name of the host.
        peer: String,
        /// The agent's reason.
        why: String,
    },
    /// The agent that answered is not the one that was installed.
    #[error("unexpected agent on {peer}: its digest is {found}, expected {wanted}")]
    OtherBuild {
        /// Display name of the host.
        peer: String,
        /// The agent's digest.
        found: String,
        /// The accepted digests.
        wanted: String,
    },
    /// The stream ended without Bye.
    #[error("the connection to {peer} ended while waiting for {awaited} (last message: {last}): {ended}")]
    Ended {
        /// Display name of the host.
        peer: String,
        /// What was expected.
        awaited: String,
        /// The last message.
        last: String,
        /// Exit status and standard error of the agent.
        ended: String,
    },
    /// No message arrived within the timeout.
    #[error("no answer from {peer} within {} s while waiting for {awaited} (last message: {last})", .after.as_secs())]
    TimedOut {
        /// Display name of the host.
        peer: String,
        /// What was expected.
        awaited: String,
        /// The timeout.
        after: Duration,
        /// The last message.
        last: String,
    },
    /// A message is invalid or unexpected.
    #[error("protocol error on {peer}: {why}")]
    Garbled {
        /// Display name of the host.
        peer: String,
        /// The cause.
        why: String,
    },
    /// A request is too long to be sent.
    #[error("message for {peer} is too long: {length} bytes, the limit is {limit}")]
    TooLong {
        /// Display name of the host.
        peer: String,
        /// Length in bytes.
        length: usize,
        /// Maximum length in bytes.
        limit: usize,
    },
    /// A file that a host needs cannot be read on the control machine.
    #[error("cannot read `{path}` for {peer}", path = .path.display())]
    Content {
        /// Display name of the host.
        peer: String,
        /// Path of the file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<std::io::Error>,
    },
}

impl SessionError {
    /// Returns what to do next, if known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoAgent { .. } => Some(
                "log in manually and check: shell start-up files must not print anything or wait for input",
            ),
            Self::Refused { .. } => Some("wait until the other run has finished, then re-run"),
            Self::OtherBuild { .. } => Some(
                "remove the agent's folder on the host and re-run; if this happens again, another process replaces the agent",
            ),
            Self::Ended { .. } | Self::TimedOut { .. } => {
                Some("re-run to continue; completed changes were kept")
            }
            Self::Garbled { .. } | Self::TooLong { .. } | Self::Content { .. } => None,
        }
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        failure::from_error(&error, error.hint().map(str::to_owned))
    }
}
