//! Streams from a host to another address: a channel of its SSH connection, or a TCP connection
//! from this machine.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use russh::ChannelOpenFailure;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::host::HostName;
use crate::session::Stream;

use super::client;
use super::connection::Opened;
use super::dial::dial;
use super::error::{SshError, TunnelError};

/// Timeout for connecting from this machine.
const DEADLINE: Duration = Duration::from_secs(15);

/// Opens a channel to `address` and `port` over `opened`.
pub(super) async fn open(
    opened: &Opened,
    peer: &str,
    address: &str,
    port: u16,
    deadline: Duration,
) -> Result<Box<dyn Stream>, SshError> {
    let opening = opened.client.channel_open_direct_tcpip(
        address.to_owned(),
        u32::from(port),
        "127.0.0.1".to_owned(),
        0,
    );
    let source = match tokio::time::timeout(deadline, opening).await {
        Ok(Ok(channel)) => return Ok(Box::new(channel.into_stream())),
        Ok(Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited))) => {
            TunnelError::Forbidden
        }
        Ok(Err(russh::Error::ChannelOpenFailure(_))) => TunnelError::Refused,
        Ok(Err(error)) => TunnelError::Connection(client::words(&error)),
        Err(_) => TunnelError::Timeout { secs: deadline.as_secs() },
    };
    Err(SshError::Tunnel { peer: peer.to_owned(), to: format!("{address}:{port}"), source })
}

/// Opens a connection from this machine, for a host with `ansible_connection: local`.
pub(super) async fn from_here(
    host: &HostName,
    address: &str,
    port: u16,
) -> Result<Box<dyn Stream>, SshError> {
    let stream = dial(&format!("{address}:{port} from {host}"), address, port, DEADLINE).await?;
    Ok(Box::new(stream))
}

/// A stream that keeps its connection alive.
pub(super) struct Held {
    stream: Box<dyn Stream>,
    _connection: Arc<Opened>,
}

impl Held {
    pub(super) const fn new(stream: Box<dyn Stream>, connection: Arc<Opened>) -> Self {
        Self { stream, _connection: connection }
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Held {
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
