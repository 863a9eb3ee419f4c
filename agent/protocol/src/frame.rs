//! Frames: a magic once, then length-limited messages and raw chunks, over any byte stream.

use std::io::{self, Read, Write};

use serde::Serialize;

use crate::value::Sha256;

/// What the agent writes first; whatever stands before it is noise of the way there (banners, shell start-up files).
pub const MAGIC: [u8; 8] = *b"\x00apimd\x01\n";

/// How much noise may stand before the magic, in bytes.
pub const NOISE_LIMIT: usize = 64 * 1024;

/// Kind byte of a frame that holds one JSON message.
pub const KIND_MESSAGE: u8 = 0;

/// Kind byte of a frame that holds a piece of content: digest, offset, bytes.
pub const KIND_CHUNK: u8 = 1;

/// The longest message payload, in bytes.
pub const MESSAGE_LIMIT: usize = 4 * 1024 * 1024;

/// The longest chunk payload, in bytes (its head included).
pub const CHUNK_LIMIT: usize = 1024 * 1024;

/// Bytes of a chunk payload before the content: 32 of digest, 8 of offset (big-endian).
pub const CHUNK_HEAD: usize = 40;

/// Bytes of a frame before its payload: kind, then length (big-endian).
pub const FRAME_HEAD: usize = 5;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The JSON text of one message.
    Message(Vec<u8>),
    /// A piece of content.
    Chunk(Chunk),
}

/// A piece of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Which content.
    pub sha256: Sha256,
    /// Where in it the bytes stand.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why a stream of frames cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream broke, or ended within a frame.
    #[error("the stream ended or broke within a frame")]
    Io(#[from] io::Error),
    /// An unknown kind of frame.
    #[error("a frame of unknown kind {0} came; both ends must be of one build")]
    Kind(u8),
    /// A frame larger than its kind may be.
    #[error("a frame of {length} bytes came, and {limit} is the limit")]
    TooLong {
        /// How long it says it is.
        length: u64,
        /// What is allowed.
        limit: usize,
    },
    /// A chunk without a whole head.
    #[error("a chunk of {0} bytes came, which is shorter than a chunk's head")]
    ShortChunk(usize),
    /// A message that is not JSON, or not of this protocol.
    #[error("a message that this build does not know came")]
    Message(#[from] serde_json::Error),
}

/// Reads one frame; `None` when the stream ends where a frame would begin.
///
/// # Errors
/// When the stream breaks, ends within a frame, or holds something else than frames. Never allocates more than a frame may hold,
/// and only as bytes come in.
pub fn read_frame(from: &mut impl Read) -> Result<Option<Frame>, FrameError> {
    let mut head = [0; FRAME_HEAD];
    let got = read_up_to(from, &mut head)?;
    if got == 0 {
        return Ok(None);
    }
    if got < FRAME_HEAD {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let [kind, a, b, c, d] = head;
    let length = u32::from_be_bytes([a, b, c, d]);
    let limit = match kind {
        KIND_MESSAGE => MESSAGE_LIMIT,
        KIND_CHUNK => CHUNK_LIMIT,
        kind => return Err(FrameError::Kind(kind)),
    };
    if u64::from(length) > limit as u64 {
        return Err(FrameError::TooLong { length: length.into(), limit });
    }
    if kind == KIND_MESSAGE {
        return Ok(Some(Frame::Message(read_exactly(from, length as usize)?)));
    }
    let Some(body) = (length as usize).checked_sub(CHUNK_HEAD) else {
        return Err(FrameError::ShortChunk(length as usize));
    };
    let (mut digest, mut offset) = ([0; 32], [0; 8]);
    from.read_exact(&mut digest)?;
    from.read_exact(&mut offset)?;
    let bytes = read_exactly(from, body)?;
    let (sha256, offset) = (Sha256::from_bytes(digest), u64::from_be_bytes(offset));
    Ok(Some(Frame::Chunk(Chunk { sha256, offset, bytes })))
}

/// Writes one message as a frame, in one piece.
///
/// # Errors
/// When it is too long, or the stream breaks.
pub fn write_message(to: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    let mut frame = vec![KIND_MESSAGE, 0, 0, 0, 0];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - FRAME_HEAD;
    if length > MESSAGE_LIMIT {
        return Err(FrameError::TooLong { length: length as u64, limit: MESSAGE_LIMIT });
    }
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    for (slot, byte) in frame.iter_mut().skip(1).zip(length) {
        *slot = byte;
    }
    to.write_all(&frame)?;
    Ok(to.flush()?)
}

/// Writes one piece of content as a frame.
///
/// # Errors
/// When it is too long, or the stream breaks.
pub fn write_chunk(
    to: &mut impl Write,
    sha256: &Sha256,
    offset: u64,
    bytes: &[u8],
) -> Result<(), FrameError> {
    let length = bytes.len() + CHUNK_HEAD;
    if length > CHUNK_LIMIT {
        return Err(FrameError::TooLong { length: length as u64, limit: CHUNK_LIMIT });
    }
    let mut head = Vec::with_capacity(FRAME_HEAD + CHUNK_HEAD);
    head.push(KIND_CHUNK);
    head.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    head.extend_from_slice(sha256.as_bytes());
    head.extend_from_slice(&offset.to_be_bytes());
    to.write_all(&head)?;
    to.write_all(bytes)?;
    Ok(to.flush()?)
}

/// Fills `buffer` as far as the stream goes.
fn read_up_to(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

fn read_exactly(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    // A peer that only says it will send much makes us reserve little.
    let mut bytes = Vec::with_capacity(length.min(256 * 1024));
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut wire = Vec::new();
        write_message(&mut wire, &"hello").unwrap();
        write_chunk(&mut wire, &Sha256::of(b"x"), 7, b"abc").unwrap();
        let mut from = wire.as_slice();
        assert_eq!(read_frame(&mut from).unwrap(), Some(Frame::Message(b"\"hello\"".to_vec())));
        let chunk = Chunk { sha256: Sha256::of(b"x"), offset: 7, bytes: b"abc".to_vec() };
        assert_eq!(read_frame(&mut from).unwrap(), Some(Frame::Chunk(chunk)));
        assert_eq!(read_frame(&mut from).unwrap(), None);
    }

    #[test]
    fn a_frame_over_its_limit_is_refused_before_it_is_read() {
        for (kind, limit) in [(KIND_MESSAGE, MESSAGE_LIMIT), (KIND_CHUNK, CHUNK_LIMIT)] {
            let length = u32::try_from(limit + 1).unwrap().to_be_bytes();
            let wire = [&[kind][..], &length].concat();
            assert!(matches!(read_frame(&mut wire.as_slice()), Err(FrameError::TooLong { .. })));
        }
        assert!(write_chunk(&mut Vec::new(), &Sha256::of(b""), 0, &vec![0; CHUNK_LIMIT]).is_err());
    }

    #[test]
    fn a_promise_of_much_reserves_little() {
        let wire = [&[KIND_MESSAGE][..], &(4 * 1024 * 1024_u32).to_be_bytes(), b"short"].concat();
        assert!(matches!(read_frame(&mut wire.as_slice()), Err(FrameError::Io(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut from = bytes.as_slice();
            while let Ok(Some(_)) = read_frame(&mut from) {}
        }

        #[test]
        fn a_frame_cut_anywhere_is_an_error(cut in 1_usize..48) {
            let mut wire = Vec::new();
            write_chunk(&mut wire, &Sha256::of(b"x"), 7, b"abcdef").unwrap();
            wire.truncate(cut);
            prop_assert!(read_frame(&mut wire.as_slice()).is_err());
        }
    }
}
