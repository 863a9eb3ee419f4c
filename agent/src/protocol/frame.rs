//! Frames: a magic once, then length-limited messages and raw chunks, over any byte stream.
