//! Outlines of zips, kept beside the files: made when a host asks for the first time, as that takes reading all of the zip.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use apim_protocol::operation::archive::outline::{FORM, Outline};
use apim_protocol::value::{Content, Sha256};

use super::Cache;

impl Cache {
    /// Returns where the outline of the verified zip `sha256` at `zip` is, and its name as content; `None` when it has none, such
    /// as a tar or a zip that is unusual. Blocks: the first time the whole zip is read.
    ///
    /// # Errors
    /// When the zip cannot be read, or the cache not be written.
    pub fn outline(&self, sha256: Sha256, zip: &Path) -> io::Result<Option<(PathBuf, Content)>> {
        // An outline that was made by another build may have another form.
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
