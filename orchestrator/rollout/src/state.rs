//! The user's private state folder on the control machine. Other modules define the format of the
//! files.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Returns the user's state folder: `$XDG_STATE_HOME/apim-deploy`, else
/// `~/.local/state/apim-deploy`.
#[must_use]
pub fn of_user() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = from("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let folder =
        folder.or_else(|| Some(from("HOME")?.join(".local/state"))).unwrap_or_else(std::env::temp_dir);
    folder.join("apim-deploy")
}

/// Creates `folder` and missing parents with mode 0700. Removes the permissions of group and others
/// from `folder` even if it exists.
///
/// # Errors
/// When the folder cannot be created, or belongs to another user.
pub fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let permissions = fs::metadata(folder)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Replaces the file at `path` atomically, with mode 0600.
///
/// # Errors
/// When the file cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = written(path, bytes)?;
    file.as_file_mut().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Creates the file at `path` with mode 0600 unless it exists. Returns whether it was created.
///
/// # Errors
/// When the file cannot be written.
pub fn make(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let mut file = written(path, bytes)?;
    file.as_file_mut().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

fn written(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_private_and_create_does_not_overwrite() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("a/b");
        make_private(&own).expect("created");
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!((mode(&own), mode(&folder.path().join("a"))), (0o700, 0o700));
        fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).expect("opened");
        make_private(&own).expect("restricted");
        assert_eq!(mode(&own), 0o700);
        let path = own.join("file");
        assert!(make(&path, b"one").expect("created"));
        assert!(!make(&path, b"two").expect("kept"));
        assert_eq!((fs::read(&path).expect("read"), mode(&path)), (b"one".to_vec(), 0o600));
        replace(&path, b"three").expect("replaced");
        assert_eq!((fs::read(&path).expect("read"), mode(&path)), (b"three".to_vec(), 0o600));
    }
}
