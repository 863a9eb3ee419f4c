//! A session with one agent over any byte stream. Module `ssh` opens the streams.

use std::future::Future;
use std::pin::Pin;

use apim_protocol::outcome::Failure;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::host::HostName;

pub mod content;
pub mod conversation;
pub mod error;
mod frame;
pub mod receiver;
pub mod sender;
pub mod text;

#[cfg(test)]
mod tests;

pub use content::{Parts, Source};
pub use conversation::Session;
pub use error::SessionError;
pub(crate) use frame::find_magic;
pub use receiver::Receiver;
pub use sender::Sender;

/// The streams of a running agent, and the reason why they ended.
pub struct Link {
    /// Display name of the host, such as `gw1 (deploy@10.0.0.5:22)`.
    pub peer: String,
    /// The accepted digests of the agent's executable; empty to accept any (tests).
    pub builds: Vec<String>,
    /// The agent's standard output.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// The agent's standard input; large writes (256 KiB) are fastest.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Resolves when the agent has exited: exit status and bounded standard error, for an error
    /// message.
    pub ended: Pin<Box<dyn Future<Output = String> + Send>>,
}

impl Link {
    /// Returns a link over two halves of a stream, without an exit status.
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
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, Failure>> + Send + 'a>>;

/// Opens links to hosts: over SSH, as a child process, or in tests over an in-memory pipe.
pub trait Connect: Send + Sync + 'static {
    /// Connects to `host` and starts the agent, which is uploaded first if it is missing.
    fn connect<'a>(
        &'a self,
        host: &'a HostName,
    ) -> Pin<Box<dyn Future<Output = Result<Link, Failure>> + Send + 'a>>;

    /// Opens a stream from `host` to `address` (a name or an address, resolved on that host) and
    /// `port`, over the existing connection to the host. The default implementation returns an
    /// error.
    fn tunnel<'a>(&'a self, host: &'a HostName, address: &'a str, port: u16) -> Opening<'a> {
        Box::pin(async move {
            let what = format!(
                "cannot reach {address}:{port} from {host}: this connection type does not support tunnels"
            );
            Err(Failure::new(what))
        })
    }
}
