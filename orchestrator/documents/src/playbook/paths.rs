//! Paths in playbooks.

use std::path::{Path, PathBuf};

use apim_product::yaml::Span;

/// Prefix of built-in playbooks in messages.
pub(super) const INSIDE: &str = "built-in ";

/// Returns the path `name`. A relative path starts at the folder of the file that contains it.
pub(super) fn resolve(name: &str, span: &Span) -> PathBuf {
    let folder =
        span.file_name().filter(|file| !file.starts_with(INSIDE)).and_then(|file| Path::new(file).parent());
    folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
}
