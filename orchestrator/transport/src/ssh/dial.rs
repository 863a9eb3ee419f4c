//! TCP connection to a host: tries every address of its name within one deadline.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::error::{SshError, UnreachableError};

/// Connects to `address`: tries every address of the name, within `deadline` in total.
pub(super) async fn dial(
    peer: &str,
    address: &str,
    port: u16,
    deadline: Duration,
) -> Result<Prompt, SshError> {
    try_all(address, port, deadline)
        .await
        .map_err(|source| SshError::Unreachable { peer: peer.to_owned(), source })
}

async fn try_all(address: &str, port: u16, deadline: Duration) -> Result<Prompt, UnreachableError> {
    let until = Instant::now() + deadline;
    let found = match tokio::time::timeout_at(until, tokio::net::lookup_host((address, port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(source)) => return Err(UnreachableError::Resolve { address: address.to_owned(), source }),
        Err(_) => {
            let (address, secs) = (address.to_owned(), deadline.as_secs());
            return Err(UnreachableError::ResolveTimeout { address, secs });
        }
    };
    let mut last = UnreachableError::NoAddress(address.to_owned());
    let count = found.len();
    for (index, socket) in found.into_iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        // Each address gets an even share of the remaining time, so that a dead address cannot use
        // up the deadline of the others.
        let share = left / u32::try_from(count - index).unwrap_or(1);
        match tokio::time::timeout(share, TcpStream::connect(socket)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(UnreachableError::Socket)?;
                return Ok(Prompt { stream, reads: 0 });
            }
            Ok(Err(error)) => last = UnreachableError::connecting(socket, error),
            Err(_) => last = UnreachableError::Timeout { socket, secs: share.as_secs().max(1) },
        }
    }
    Err(last)
}

/// A TCP stream that sends acknowledgements without delay during login.
///
/// sshd keeps Nagle's algorithm enabled until a session begins: it delays a small packet until the
/// previous one is acknowledged, and this machine would delay the acknowledgement by 40 ms. Quick
/// acknowledgement is therefore enabled after each read during login (Linux resets the option by
/// itself, tcp(7)).
#[derive(Debug)]
pub(super) struct Prompt {
    stream: TcpStream,
    reads: u32,
}

impl Prompt {
    /// Upper bound of the number of reads during a login.
    const LOGIN_READS: u32 = 64;

    fn acknowledge(&mut self) {
        self.reads += 1;
        #[cfg(target_os = "linux")]
        // An optimization only: an error of the socket also shows up at the next read.
        rustix::net::sockopt::set_tcp_quickack(&self.stream, true).ok();
    }
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() && self.reads < Self::LOGIN_READS {
            self.acknowledge();
        }
        read
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::outcome::Failure;

    use super::*;
    use crate::failure::one_line;

    #[tokio::test]
    async fn closed_port_and_unknown_name_are_reported() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error: Failure = dial("gw1", "127.0.0.1", port, Duration::from_secs(5)).await.unwrap_err().into();
        assert_eq!(
            one_line(&error),
            format!("cannot connect to gw1: 127.0.0.1:{port} refused the connection")
        );
        assert!(error.hint.as_ref().unwrap().contains("ansible_port"));

        let error: Failure =
            dial("gw1", "no such name", 22, Duration::from_secs(5)).await.unwrap_err().into();
        assert!(
            one_line(&error).starts_with("cannot connect to gw1: cannot resolve `no such name`"),
            "{error:?}"
        );
    }
}
