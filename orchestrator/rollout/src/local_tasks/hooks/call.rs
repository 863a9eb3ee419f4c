//! Result of a hook call.

use std::io;

use crate::http::{ClientError, Status};

/// Maximum number of output bytes kept: the last ones.
const KEPT: usize = 16 * 1024;

/// Result of a call.
#[derive(Debug)]
pub(super) struct CallResult {
    pub(super) ended: Result<(), CallError>,
    /// The last part of the output.
    pub(super) output: String,
    /// Whether a retry may succeed.
    pub(super) may_pass: bool,
}

impl CallResult {
    /// A call that could not be started. A retry would fail the same way.
    pub(super) const fn not_started(error: CallError) -> Self {
        Self { ended: Err(error), output: String::new(), may_pass: false }
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("cannot start `{name}`: {source}")]
    Start { name: String, source: io::Error },
    #[error("cannot read its output: {0}")]
    Output(#[source] io::Error),
    #[error("exit status {0}")]
    Exit(i32),
    #[error("killed by signal {0}")]
    Signal(i32),
    /// The system reports neither an exit status nor a signal.
    #[error("it exited")]
    Unknown,
    #[error("timed out after {secs} s and was killed")]
    Timeout { secs: u64 },
    #[error("`ca_file`: {0}")]
    Authorities(#[source] ClientError),
    #[error(transparent)]
    Request(ClientError),
    #[error("responded with {0}")]
    Status(Status),
    #[error("{status}, but {source}")]
    Body { status: Status, source: ClientError },
}

impl From<ClientError> for CallError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Authorities(_) => Self::Authorities(error),
            _ => Self::Request(error),
        }
    }
}

/// Appends output and keeps only the last [`KEPT`] bytes.
pub(super) fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    let over = kept.len().saturating_sub(KEPT);
    kept.drain(..over);
}
