//! The sources of the workspace, read and parsed once.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Folders that hold Rust sources, relative to the workspace.
const MEMBERS: &[&str] = &["agent", "orchestrator", "tests"];

/// One Rust file.
pub(crate) struct Source {
    /// Relative to the workspace.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) syntax: SyncFile,
}

/// A parsed file. `syn::File` is not `Sync` because of its spans, so each use parses the text again.
pub(crate) struct SyncFile(String);

impl SyncFile {
    pub(crate) fn parse(&self) -> syn::File {
        syn::parse_file(&self.0).expect("the compiler accepted it")
    }
}

impl Source {
    /// Whether the file holds tests only.
    pub(crate) fn is_test(&self) -> bool {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.path.components().any(|part| part.as_os_str() == "tests")
            || stem == "tests"
            || stem == "testing"
            || stem.ends_with("_tests")
    }
}

/// All Rust files of the workspace, sorted by path.
pub(crate) static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let mut paths = Vec::new();
    for member in MEMBERS {
        collect(&workspace().join(member), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                paths.push(path.to_owned());
            }
        });
    }
    paths.sort();
    assert!(paths.len() > 400, "only {} sources were found", paths.len());
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("readable");
            let path = path.strip_prefix(workspace()).expect("below the workspace").to_owned();
            Source { path, syntax: SyncFile(text.clone()), text }
        })
        .collect()
});

/// The workspace's root folder.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Calls `visit` with every file below `folder`; skips hidden folders and build output.
pub(crate) fn collect(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(&path, visit);
            }
        } else {
            visit(&path);
        }
    }
}

/// Whether an item is compiled for tests only.
pub(crate) fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).any(|w| w == "test")
            })
    })
}
