//! Why a conversation with an agent failed: what was awaited, from whom, and the last answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why a conversation ended or could not begin.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SessionError {
    /// Something else than an agent answered, or nothing at all.
    #[error("no agent answered on {peer}: {why}{noise}")]
    NoAgent {
        /// Who was asked.
        peer: String,
        /// What came instead of the agent's first bytes, in words.
        why: String,
        /// What the host said instead, bounded, as indented lines.
        noise: String,
    },
    /// The agent cannot serve: another run holds the host.
    #[error("{peer} refused the run: {why}")]
    Refused {
        /// Who refused.
        peer: String,
        /// The agent's sentence.
        why: String,
    },
    /// The agent that answered is not the one that was put there.
    #[error("the agent on {peer} is not the one this run put there: its digest is {found}, wanted {wanted}")]
    OtherBuild {
        /// Who answered.
        peer: String,
        /// Its digest.
        found: String,
        /// The digests that would do.
        wanted: String,
    },
    /// The stream ended before its time.
    #[error("the link to {peer} ended while waiting for {awaited} (last answer: {last}): {ended}")]
    Ended {
        /// Who was at the other end.
        peer: String,
        /// What was awaited.
        awaited: String,
        /// The last thing heard.
        last: String,
        /// Exit status and standard error of the far side.
        ended: String,
    },
    /// Nothing came within the deadline.
    #[error("no answer from {peer} within {} s while waiting for {awaited} (last answer: {last})", .after.as_secs())]
    TimedOut {
        /// Who was at the other end.
        peer: String,
        /// What was awaited.
        awaited: String,
        /// How long.
        after: Duration,
        /// The last thing heard.
        last: String,
    },
    /// What came is not what an agent says.
    #[error("{peer} broke the protocol: {why}")]
    Garbled {
        /// Who was at the other end.
        peer: String,
        /// What was wrong.
        why: String,
    },
    /// Our own message is too long to be sent.
    #[error("a message for {peer} is too long: {length} bytes, {limit} at most")]
    TooLong {
        /// Who should get it.
        peer: String,
        /// Its length.
        length: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// A file that a host needs cannot be read here.
    #[error("cannot read `{path}` for {peer}", path = .path.display())]
    Content {
        /// Who needs it.
        peer: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<std::io::Error>,
    },
}

impl SessionError {
    /// Returns what to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoAgent { .. } => Some(
                "log in by hand and look: shell start-up files must print nothing and must not wait for input",
            ),
            Self::Refused { .. } => Some("wait until the other run has ended, then run again"),
            Self::OtherBuild { .. } => Some(
                "remove the agent's folder on the host and run again; if it comes back, somebody replaces it",
            ),
            Self::Ended { .. } | Self::TimedOut { .. } => {
                Some("run again: what was done stays done, and the rest is taken up from there")
            }
            Self::Garbled { .. } | Self::TooLong { .. } | Self::Content { .. } => None,
        }
    }
}
