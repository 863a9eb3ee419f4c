//! One conversation with one agent, over any byte stream.

use std::future::Future;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::inventory::host::HostName;

/// The stream to a running agent: what it says, what it hears, and why it ended.
pub struct Link {
    /// The agent's standard output.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// The agent's standard input; large writes (256 KiB) are best.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Resolves when the stream has ended: bounded standard error and exit status, in words, for the error message.
    pub ended: Pin<Box<dyn Future<Output = String> + Send>>,
}

/// Makes links to hosts: SSH, a child process, or in tests an in-memory pipe.
pub trait Connect: Send + Sync + 'static {
    /// Connects to `host` and starts the agent there (uploads it first where it is missing).
    fn connect<'a>(
        &'a self,
        host: &'a HostName,
    ) -> Pin<Box<dyn Future<Output = Result<Link, ConnectError>> + Send + 'a>>;
}

/// Why a host could not be reached.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct ConnectError {
    /// What was attempted, with whom, and the last answer.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}
