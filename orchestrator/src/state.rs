//! The user's own folder on this machine: what runs leave behind here, private to the user. What is in the files is others' to say.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Returns the user's own folder: `$XDG_STATE_HOME/apim-deploy`, else `~/.local/state/apim-deploy`.
#[must_use]
pub fn of_user() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = from("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let folder =
        folder.or_else(|| Some(from("HOME")?.join(".local/state"))).unwrap_or_else(std::env::temp_dir);
    folder.join("apim-deploy")
}

/// Makes `folder` and those above it, where they are missing: nobody else may look into what is made. The last one is closed to
/// others even if it was there.
///
/// # Errors
/// When it cannot be made, or is somebody else's.
pub fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let permissions = fs::metadata(folder)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Replaces the file at `path`, whole or not at all; only its owner may read it.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = written(path, bytes)?;
    file.as_file_mut().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Makes the file at `path` unless there is one; says whether it did.
///
/// # Errors
/// When it cannot be written.
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
    fn what_is_made_is_private_and_what_is_there_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("a/b");
        make_private(&own).expect("made");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&own), mode(&folder.path().join("a"))), (0o700, 0o700));
        fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).expect("opened");
        make_private(&own).expect("closed");
        assert_eq!(mode(&own), 0o700);
        let path = own.join("file");
        assert!(make(&path, b"one").expect("made"));
        assert!(!make(&path, b"two").expect("left"));
        assert_eq!((fs::read(&path).expect("read"), mode(&path)), (b"one".to_vec(), 0o600));
        replace(&path, b"three").expect("replaced");
        assert_eq!((fs::read(&path).expect("read"), mode(&path)), (b"three".to_vec(), 0o600));
    }
}
