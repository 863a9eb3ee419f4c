//! The list of files that `render` wrote, kept in the output folder. The next render removes files
//! of this list that are no longer rendered, and nothing else.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

/// File name of the list.
const LIST: &str = ".apim-deploy-render";
const HEAD: &str =
    "# Files written by `apim-deploy render`. The next render removes those that it no longer renders.";
/// Maximum size of the list, in bytes. A larger file was not written by render.
const LARGEST: u64 = 8 * 1024 * 1024;

/// Why a folder cannot be the output folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputFolderError {
    #[error("`{}` is a file; `--out` needs a folder", .0.display())]
    NotAFolder(PathBuf),
    #[error("cannot read `{}`: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    /// Contains files, but no list of `render`.
    #[error("`{}` is not empty and was not created by `render`", .0.display())]
    Foreign(PathBuf),
}

/// Paths below the output folder.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Manifest(BTreeSet<PathBuf>);

impl Manifest {
    pub(crate) fn of<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        Self(paths.into_iter().cloned().collect())
    }

    /// Reads the list of `out`. Refuses a non-empty folder without a list.
    pub(crate) fn read(out: &Path) -> Result<Self, OutputFolderError> {
        if !out.exists() {
            return Ok(Self::default());
        }
        if !out.is_dir() {
            return Err(OutputFolderError::NotAFolder(out.to_owned()));
        }
        let list = out.join(LIST);
        let is_ours =
            std::fs::symlink_metadata(&list).is_ok_and(|meta| meta.is_file() && meta.len() <= LARGEST);
        if is_ours {
            let text = std::fs::read_to_string(&list)
                .map_err(|error| OutputFolderError::Read { path: list.clone(), error })?;
            let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            return Ok(Self(lines.map(PathBuf::from).filter(|path| is_below(path)).collect()));
        }
        let mut entries = std::fs::read_dir(out)
            .map_err(|error| OutputFolderError::Read { path: out.to_owned(), error })?;
        if entries.next().is_some() {
            return Err(OutputFolderError::Foreign(out.to_owned()));
        }
        Ok(Self::default())
    }

    pub(crate) fn and(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// Writes the list atomically.
    pub(crate) fn write(&self, out: &Path) -> io::Result<()> {
        std::fs::create_dir_all(out)?;
        let mut text = format!("{HEAD}\n");
        for path in &self.0 {
            text.push_str(&format!("{}\n", path.display()));
        }
        let file = tempfile::NamedTempFile::new_in(out)?;
        std::fs::write(file.path(), text)?;
        file.persist(out.join(LIST))?;
        Ok(())
    }

    /// Removes the files that are not in `now`, and folders that become empty. Returns the number
    /// of removed files.
    pub(crate) fn remove_all_but(&self, now: &Self, out: &Path) -> usize {
        let mut removed = 0;
        for below in self.0.difference(&now.0).filter(|below| leads_below(out, below)) {
            let path = out.join(below);
            if std::fs::remove_file(&path).is_ok() {
                removed += 1;
            }
            for folder in below.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
                // Stop at the first folder that is not empty.
                if std::fs::remove_dir(out.join(folder)).is_err() {
                    break;
                }
            }
        }
        removed
    }
}

fn is_below(path: &Path) -> bool {
    !path.as_os_str().is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Returns whether the path from `out` to `below` contains no symbolic link.
fn leads_below(out: &Path, below: &Path) -> bool {
    let mut folders = below.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    folders.all(|folder| std::fs::symlink_metadata(out.join(folder)).is_ok_and(|meta| meta.is_dir()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(out: &Path, paths: &[&str]) -> Manifest {
        for path in paths {
            let path = out.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            std::fs::write(path, "x").expect("written");
        }
        Manifest(paths.iter().map(PathBuf::from).collect())
    }

    #[test]
    fn stale_files_are_removed_and_other_files_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path();
        let before = manifest(out, &["gw1/etc/a", "gw1/opt/b", "gw2/etc/a"]);
        before.write(out).expect("the list");
        std::fs::write(out.join("gw1/etc/mine"), "x").expect("written");
        let before = Manifest::read(out).expect("a list");
        let now = manifest(out, &["gw2/etc/a"]);
        assert_eq!(before.remove_all_but(&now, out), 2);
        now.write(out).expect("the list");
        assert!(out.join("gw1/etc/mine").exists() && out.join("gw2/etc/a").exists());
        assert!(!out.join("gw1/opt").exists() && !out.join("gw1/etc/a").exists());
        assert_eq!(Manifest::read(out).expect("a list"), now);
    }

    #[test]
    fn non_empty_folder_without_list_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Manifest::read(folder.path()).expect("empty"), Manifest::default());
        std::fs::write(folder.path().join("thesis.txt"), "x").expect("written");
        assert!(Manifest::read(folder.path()).expect_err("no list").to_string().contains("is not empty"));
    }

    #[test]
    fn tampered_list_removes_nothing_outside_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let (out, victim) = (folder.path().join("out"), folder.path().join("victim"));
        std::fs::create_dir_all(&victim).expect("created");
        std::fs::write(victim.join("a"), "x").expect("written");
        std::fs::create_dir_all(&out).expect("created");
        std::os::unix::fs::symlink(&victim, out.join("link")).expect("linked");
        std::fs::write(out.join(LIST), "../victim/a\n/etc/passwd\nlink/a\n").expect("written");
        let before = Manifest::read(&out).expect("a list");
        assert_eq!(before.remove_all_but(&Manifest::default(), &out), 0);
        assert!(victim.join("a").exists());
    }
}
