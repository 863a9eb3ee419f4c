//! The result of one hook call, with the end of its output.

/// Maximum number of output bytes kept: the last ones.
const KEPT: usize = 16 * 1024;

/// Result of a call.
pub(super) struct CallResult {
    /// Success, or the error.
    pub(super) ended: Result<(), String>,
    /// The last part of the output.
    pub(super) said: String,
    /// Whether a retry may succeed.
    pub(super) may_pass: bool,
}

/// Appends output and keeps only the last [`KEPT`] bytes.
pub(super) fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    let over = kept.len().saturating_sub(KEPT);
    kept.drain(..over);
}
