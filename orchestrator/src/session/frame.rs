//! Frames, asynchronously: the same bytes as the agent's `protocol::frame`. Reading survives being cancelled.

use apim_protocol::frame::{
    CHUNK_HEAD, CHUNK_LIMIT, FRAME_HEAD, KIND_CHUNK, KIND_MESSAGE, MAGIC, MESSAGE_LIMIT, NOISE_LIMIT,
};
use apim_protocol::value::Sha256;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::bytes::{Buf as _, Bytes, BytesMut};

/// What cannot be a frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The stream failed.
    #[error("reading failed: {0}")]
    Io(#[from] std::io::Error),
    /// The stream ended inside a frame.
    #[error("the stream ended inside a message")]
    Torn,
    /// A length over the limit.
    #[error("a message of {0} bytes, {MESSAGE_LIMIT} at most")]
    TooLong(usize),
    /// A kind that agents do not send.
    #[error("a frame of kind {0}")]
    Kind(u8),
}

/// Returns `message` as a frame, or its length when that is over the limit.
pub(super) fn message<T: Serialize>(message: &T) -> Result<Bytes, usize> {
    let mut frame = vec![0; FRAME_HEAD];
    // Our messages are plain data with text keys: writing them to memory cannot fail.
    if serde_json::to_writer(&mut frame, message).is_err() {
        return Err(0);
    }
    let length = frame.len() - FRAME_HEAD;
    if length > MESSAGE_LIMIT {
        return Err(length);
    }
    put_head(&mut frame, KIND_MESSAGE, length);
    Ok(frame.into())
}

/// Bytes of content in one chunk: what the SSH channel carries best.
pub(super) const CHUNK_CONTENT: usize = 256 * 1024;
const _: () = assert!(CHUNK_CONTENT + CHUNK_HEAD <= CHUNK_LIMIT);

/// Bytes of a chunk frame before its content.
pub(super) const CHUNK_FRAME_HEAD: usize = FRAME_HEAD + CHUNK_HEAD;

/// Fills in the head of `frame`, whose content begins at [`CHUNK_FRAME_HEAD`].
pub(super) fn finish_chunk(mut frame: Vec<u8>, sha256: &Sha256, offset: u64) -> Bytes {
    let length = frame.len().saturating_sub(FRAME_HEAD);
    put_head(&mut frame, KIND_CHUNK, length);
    if let Some(digest) = frame.get_mut(FRAME_HEAD..FRAME_HEAD + 32) {
        digest.copy_from_slice(sha256.as_bytes());
    }
    if let Some(at) = frame.get_mut(FRAME_HEAD + 32..CHUNK_FRAME_HEAD) {
        at.copy_from_slice(&offset.to_be_bytes());
    }
    frame.into()
}

fn put_head(frame: &mut [u8], kind: u8, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    if let [k, a, b, c, d, ..] = frame {
        (*k, *a, *b, *c, *d) = (kind, length[0], length[1], length[2], length[3]);
    }
}

/// Reads frames; what was read of an unfinished frame is kept over a cancelled call.
pub(super) struct FrameReader {
    from: Box<dyn AsyncRead + Send + Unpin>,
    buffer: BytesMut,
}

impl FrameReader {
    const READ: usize = 16 * 1024;

    pub(super) fn new(from: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        Self { from, buffer: BytesMut::new() }
    }

    /// Reads up to and over the magic. Says `false` when the stream ended, or too much noise came, without it.
    pub(super) async fn skip_to_magic(&mut self) -> std::io::Result<bool> {
        loop {
            if let Some(at) = find_magic(&self.buffer) {
                self.buffer.advance(at + MAGIC.len());
                return Ok(true);
            }
            if self.buffer.len() >= NOISE_LIMIT || self.fill().await? == 0 {
                return Ok(false);
            }
        }
    }

    /// Returns what was read and not yet understood.
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// Returns the payload of the next message, or `None` when the stream has ended between frames.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(length) = self.payload_length()?
                && self.buffer.len() >= FRAME_HEAD + length
            {
                self.buffer.advance(FRAME_HEAD);
                let payload = self.buffer.split_to(length).freeze();
                if self.buffer.is_empty() {
                    self.buffer = BytesMut::new();
                }
                return Ok(Some(payload));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Torn) };
            }
        }
    }

    fn payload_length(&self) -> Result<Option<usize>, FrameError> {
        let [kind, a, b, c, d, ..] = *self.buffer else { return Ok(None) };
        if kind != KIND_MESSAGE {
            return Err(FrameError::Kind(kind));
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > MESSAGE_LIMIT { Err(FrameError::TooLong(length)) } else { Ok(Some(length)) }
    }

    async fn fill(&mut self) -> std::io::Result<usize> {
        // Room for one read: a long message grows the buffer as its bytes arrive, not by what its head promises.
        self.buffer.reserve(Self::READ);
        self.from.read_buf(&mut self.buffer).await
    }
}

/// Returns where the magic begins in `bytes`.
pub(crate) fn find_magic(bytes: &[u8]) -> Option<usize> {
    bytes.windows(MAGIC.len()).position(|window| window == MAGIC)
}
