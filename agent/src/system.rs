//! The one door to files, processes and state of the host; below `--root DIR` every path is confined to DIR.

/// The host, as operations see it.
#[derive(Debug)]
pub struct System {}
