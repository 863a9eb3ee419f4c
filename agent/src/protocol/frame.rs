//! Frames: a magic once, then length-limited messages and raw chunks, over any byte stream.

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
