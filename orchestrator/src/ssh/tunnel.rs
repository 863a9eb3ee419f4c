//! Streams from a host to a third address: a channel of the connection that there is to it, or from this machine itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use russh::ChannelOpenFailure;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::inventory::host::HostName;
use crate::session::Stream;

use super::client;
use super::connect::Opened;
use super::dial::dial;
use super::error::SshError;

/// How long connecting from this machine may take.
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
    let (why, hint) = match tokio::time::timeout(deadline, opening).await {
        Ok(Ok(channel)) => return Ok(Box::new(channel.into_stream())),
        Ok(Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited))) => (
            "its sshd forwards no connections".to_owned(),
            "allow it for this account: `AllowTcpForwarding local` (or `yes`) in its sshd_config",
        ),
        Ok(Err(russh::Error::ChannelOpenFailure(_))) => (
            "the connection was refused, or the name is not known there".to_owned(),
            "does the server run and listen on that address and port, and does the host know its name?",
        ),
        Ok(Err(error)) => (client::words(&error), ""),
        Err(_) => (
            format!("no answer within {} s", deadline.as_secs()),
            "does a firewall let that host through to that port?",
        ),
    };
    Err(SshError::Tunnel {
        peer: peer.to_owned(),
        to: format!("{address}:{port}"),
        why,
        hint: hint.to_owned(),
    })
}

/// Opens a connection from this machine itself, for a host that is this machine.
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
