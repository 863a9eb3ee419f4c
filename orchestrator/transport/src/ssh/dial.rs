//! TCP connection to a host: tries every address of its name within one deadline.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::error::SshError;

/// Connects to `address`: tries every address of the name, within `deadline` in total.
pub(super) async fn dial(
    peer: &str,
    address: &str,
    port: u16,
    deadline: Duration,
) -> Result<Prompt, SshError> {
    let until = Instant::now() + deadline;
    let unreachable =
        |why: String, hint: &str| SshError::Unreachable { peer: peer.to_owned(), why, hint: hint.to_owned() };
    let found = match tokio::time::timeout_at(until, tokio::net::lookup_host((address, port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => {
            return Err(unreachable(
                format!("cannot resolve `{address}` ({error})"),
                "correct the name, or set the address with `ansible_host`",
            ));
        }
        Err(_) => {
            return Err(unreachable(
                format!("resolving `{address}` timed out after {} s", deadline.as_secs()),
                "check the name servers of this machine, or set the address with `ansible_host`",
            ));
        }
    };
    let mut last = format!("`{address}` has no address");
    let mut hint = "set the address with `ansible_host`";
    let count = found.len();
    for (index, socket) in found.into_iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        // Each address gets an even share of the remaining time, so that a dead address cannot use
        // up the deadline of the others.
        let share = left / u32::try_from(count - index).unwrap_or(1);
        match tokio::time::timeout(share, TcpStream::connect(socket)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| unreachable(error.to_string(), ""))?;
                return Ok(Prompt { stream, reads: 0 });
            }
            Ok(Err(error)) => (last, hint) = words(&error, socket),
            Err(_) => {
                last = format!("timed out after {} s connecting to {socket}", share.as_secs().max(1));
                hint = "check that the host is up and that firewalls allow this machine to reach that port";
            }
        }
    }
    Err(unreachable(last, hint))
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

fn words(error: &io::Error, socket: SocketAddr) -> (String, &'static str) {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            format!("{socket} refused the connection"),
            "check that sshd is running and listening on that port (`ansible_port`)",
        ),
        io::ErrorKind::HostUnreachable => (
            format!("no route to {socket}"),
            "check that the host is up and in a network that this machine can reach",
        ),
        io::ErrorKind::NetworkUnreachable => (
            format!("the network of {socket} is unreachable"),
            "check the routes and the VPN of this machine",
        ),
        _ => (format!("connecting to {socket} failed: {error}"), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn closed_port_and_unknown_name_are_reported() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = dial("gw1", "127.0.0.1", port, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot connect to gw1: 127.0.0.1:{port} refused the connection")
        );
        assert!(error.hint().contains("ansible_port"));

        let error = dial("gw1", "no such name", 22, Duration::from_secs(5)).await.unwrap_err();
        assert!(
            error.to_string().starts_with("cannot connect to gw1: cannot resolve `no such name`"),
            "{error}"
        );
    }
}
