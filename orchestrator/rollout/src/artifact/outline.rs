//! A cache of zip outlines. An outline is created when a host first requests it, because this reads
//! the whole zip.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use apim_protocol::operation::archive::outline::{FORM, Outline};
use apim_protocol::value::{Content, Sha256};

use super::Cache;

impl Cache {
    /// Returns the path of the outline of the verified zip `sha256` at `zip`, and its content id.
    /// `None` if it has no outline, such as a tar or an unusual zip. Blocks: the first call reads
    /// the whole zip.
    ///
    /// # Errors
    /// When the zip cannot be read or the cache cannot be written.
    pub fn outline(&self, sha256: Sha256, zip: &Path) -> io::Result<Option<(PathBuf, Content)>> {
        // Another build may use another outline format.
        let folder = self.folder.join("outlines").join(FORM);
        let path = folder.join(sha256.to_string());
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(_) => {
                let Some(outline) = Outline::of(zip)? else { return Ok(None) };
                let bytes = outline.to_bytes()?;
                std::fs::create_dir_all(&folder)?;
                let mut file = tempfile::NamedTempFile::new_in(&folder)?;
                file.write_all(&bytes)?;
                file.persist(&path)?;
                bytes
            }
        };
        Ok(Some((path, Content::of(&bytes))))
    }
}
