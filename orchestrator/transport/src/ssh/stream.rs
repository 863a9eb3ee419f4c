//! An SSH channel as two byte streams: writes are sent in large owned pieces, reads return data as
//! it arrives.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::bytes::{Buf as _, Bytes, BytesMut};
use tokio_util::sync::PollSender;

/// Maximum piece passed to the channel at once, in bytes; the fastest size (it is split into
/// packets of 32 KiB without copying).
pub(super) const PIECE: usize = 256 * 1024;

/// The writing end: pieces for the task that owns the channel.
pub(super) struct ChannelWriter {
    pieces: PollSender<Bytes>,
}

impl ChannelWriter {
    /// Returns the writing end and the receiver of its pieces.
    pub(super) fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (pieces, out) = mpsc::channel(2);
        (Self { pieces: PollSender::new(pieces) }, out)
    }
}

impl AsyncWrite for ChannelWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let closed = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the channel is closed");
        ready!(self.pieces.poll_reserve(cx)).map_err(closed)?;
        let piece = buf.get(..PIECE).unwrap_or(buf);
        self.pieces.send_item(Bytes::copy_from_slice(piece)).map_err(closed)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pieces.close();
        Poll::Ready(Ok(()))
    }
}

/// Returns the next piece to send; small queued pieces are combined.
pub(super) async fn next_piece(pieces: &mut mpsc::Receiver<Bytes>) -> Option<Bytes> {
    const SMALL: usize = 16 * 1024;
    let first = pieces.recv().await?;
    if first.len() > SMALL || pieces.is_empty() {
        return Some(first);
    }
    let mut together = BytesMut::from(first);
    while together.len() <= SMALL {
        let Ok(more) = pieces.try_recv() else { break };
        together.extend_from_slice(&more);
    }
    Some(together.freeze())
}

/// The reading end: first the bytes that were read during the start of the agent, then new data.
pub(super) struct ChannelReader {
    current: Bytes,
    arriving: mpsc::Receiver<Bytes>,
}

impl ChannelReader {
    /// Returns a reader of `first`, then of `arriving`.
    pub(super) fn new(first: Bytes, arriving: mpsc::Receiver<Bytes>) -> Self {
        Self { current: first, arriving }
    }
}

impl AsyncRead for ChannelReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.current.is_empty() {
            match ready!(self.arriving.poll_recv(cx)) {
                Some(more) => self.current = more,
                None => return Poll::Ready(Ok(())),
            }
        }
        let taken = self.current.len().min(buf.remaining());
        buf.put_slice(self.current.get(..taken).unwrap_or_default());
        self.current.advance(taken);
        Poll::Ready(Ok(()))
    }
}
