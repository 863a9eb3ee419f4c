//! The stamp in an unpacked folder: a folder with one is complete.

use apim_protocol::outcome::Failure;
use apim_protocol::value::{AbsPath, Sha256, ValueError};
use serde::{Deserialize, Serialize};

use crate::system::System;

/// Written last into an unpacked folder: a folder with it is complete.
pub(super) const STAMP: &str = ".apim-deploy.json";

/// What the stamp says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// The digest of the archive.
    pub(super) sha256: Sha256,
    /// Seconds since 1970 when it was whole.
    pub(super) finished: u64,
}

/// Returns when the archive that is unpacked at the folder `at` was whole, in seconds since 1970; `None` without a stamp.
pub(crate) fn finished(system: &System, at: &AbsPath) -> Result<Option<u64>, Failure> {
    let stamp = system.read(&at.join(STAMP).map_err(|e| bad_path(&e))?, 64 * 1024)?;
    Ok(stamp.and_then(|text| serde_json::from_slice::<Stamp>(&text).ok()).map(|stamp| stamp.finished))
}

pub(super) fn bad_path(error: &ValueError) -> Failure {
    Failure::from_error("a path inside the archive's folder cannot be used", error)
}
