//! One conversation with one agent, over any byte stream. How a stream comes to be is `ssh`'s business.

use std::future::Future;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::inventory::host::HostName;

pub mod content;
pub mod conversation;
pub mod error;
mod frame;
pub mod receiver;
pub mod sender;
pub mod text;

#[cfg(test)]
mod tests;

pub use content::Source;
pub use conversation::Session;
pub use error::SessionError;
pub(crate) use frame::find_magic;
pub use receiver::Receiver;
pub use sender::Sender;

/// The stream to a running agent: what it says, what it hears, and why it ended.
pub struct Link {
    /// Who is at the other end, in words, such as `gw1 (deploy@10.0.0.5:22)`.
    pub peer: String,
    /// The digests that the agent's executable may have; empty where any will do (tests).
    pub builds: Vec<String>,
    /// The agent's standard output.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// The agent's standard input; large writes (256 KiB) are best.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Resolves when the stream has ended: bounded standard error and exit status, in words, for the error message.
    pub ended: Pin<Box<dyn Future<Output = String> + Send>>,
}

impl Link {
    /// Returns a link over two halves of a stream, with nothing known of its end.
    #[must_use]
    pub fn over(
        peer: impl Into<String>,
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self {
            peer: peer.into(),
            builds: Vec::new(),
            reader: Box::new(reader),
            writer: Box::new(writer),
            ended: Box::pin(async { "the stream ended".to_owned() }),
        }
    }
}

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream that is being opened.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, ConnectError>> + Send + 'a>>;

/// Makes links to hosts: SSH, a child process, or in tests an in-memory pipe.
pub trait Connect: Send + Sync + 'static {
    /// Connects to `host` and starts the agent there (uploads it first where it is missing).
    fn connect<'a>(
        &'a self,
        host: &'a HostName,
    ) -> Pin<Box<dyn Future<Output = Result<Link, ConnectError>> + Send + 'a>>;

    /// Opens a stream from `host` to `address` (a name or an address, as that host knows it) and `port`, over the connection
    /// that there is to the host. What makes links to nobody who could do so refuses.
    fn tunnel<'a>(&'a self, host: &'a HostName, address: &'a str, port: u16) -> Opening<'a> {
        Box::pin(async move {
            let what = format!(
                "cannot reach {address}:{port} from {host}: this connection carries no other streams"
            );
            Err(ConnectError { what, hint: None })
        })
    }
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
