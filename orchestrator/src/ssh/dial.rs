//! The TCP connection to a host: every address its name has, one deadline, errors in plain words.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::error::SshError;

/// Connects to `address`, trying every address that the name has, within `deadline` in all.
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
                format!("the name `{address}` is not known ({error})"),
                "correct the name, or give the address with `ansible_host`",
            ));
        }
        Err(_) => {
            return Err(unreachable(
                format!("looking up the name `{address}` took longer than {} s", deadline.as_secs()),
                "look at the name servers of this machine, or give the address with `ansible_host`",
            ));
        }
    };
    let mut last = format!("the name `{address}` has no address");
    let mut hint = "give the address with `ansible_host`";
    let count = found.len();
    for (index, socket) in found.into_iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        // Each address gets an even share of what is left, so that a dead one cannot use up the deadline of the others.
        let share = left / u32::try_from(count - index).unwrap_or(1);
        match tokio::time::timeout(share, TcpStream::connect(socket)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| unreachable(error.to_string(), ""))?;
                return Ok(Prompt { stream, reads: 0 });
            }
            Ok(Err(error)) => (last, hint) = words(&error, socket),
            Err(_) => {
                last = format!("timed out after {} s connecting to {socket}", share.as_secs().max(1));
                hint = "is the host up, and does a firewall let this machine through to that port?";
            }
        }
    }
    Err(unreachable(last, hint))
}

/// A TCP stream that acknowledges at once while the connection is young.
///
/// sshd leaves Nagle's algorithm on until a session begins: it holds back a small packet until the one before is acknowledged, which
/// this machine would put off by 40 ms. So the kernel is told after each read, for as long as the login takes, not to put it off
/// (Linux forgets this setting by itself, tcp(7)).
#[derive(Debug)]
pub(super) struct Prompt {
    stream: TcpStream,
    reads: u32,
}

impl Prompt {
    /// Reads that a login takes, generously.
    const YOUNG: u32 = 64;

    fn acknowledge(&mut self) {
        self.reads += 1;
        #[cfg(target_os = "linux")]
        // Only faster, never needed: what goes wrong here would go wrong at the next read.
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
        if read.is_ready() && self.reads < Self::YOUNG {
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
            "does sshd run there, and listen on that port (`ansible_port`)?",
        ),
        io::ErrorKind::HostUnreachable => {
            (format!("no route to {socket}"), "is the host up, and in a network that this machine reaches?")
        }
        io::ErrorKind::NetworkUnreachable => (
            format!("the network of {socket} cannot be reached"),
            "look at this machine's routes and its VPN",
        ),
        _ => (format!("connecting to {socket} failed: {error}"), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_and_an_unknown_name_are_told_in_plain_words() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = dial("gw1", "127.0.0.1", port, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot connect to gw1: 127.0.0.1:{port} refused the connection")
        );
        assert!(error.hint().contains("ansible_port"));

        let error = dial("gw1", "no such name", 22, Duration::from_secs(5)).await.unwrap_err();
        assert!(
            error.to_string().starts_with("cannot connect to gw1: the name `no such name` is not known"),
            "{error}"
        );
    }
}
