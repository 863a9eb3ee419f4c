//! Adds host keys to the user's known_hosts file, under a lock, in OpenSSH's format.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::error::SettingError;
use super::host_key::UnknownKey;

/// Adds `keys` to their known_hosts files; existing lines are not added again.
///
/// # Errors
/// When a file cannot be written.
pub async fn learn_host_keys(keys: &[UnknownKey]) -> Result<(), SettingError> {
    for key in keys {
        learn_key(key).await?;
    }
    Ok(())
}

pub(super) async fn learn_key(key: &UnknownKey) -> Result<(), SettingError> {
    let (file, line) = (key.file.clone(), line_of(key));
    // Waiting for the lock blocks.
    let written = tokio::task::spawn_blocking(move || append(&file, &line))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error.to_string())));
    written.map_err(|source| SettingError::WriteKnownHosts {
        peer: key.peer.clone(),
        file: key.file.clone(),
        source,
    })
}

fn line_of(key: &UnknownKey) -> String {
    // Type and key, without the comment.
    let fields = key.key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    format!("{} {fields}", key.name)
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file: File = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    // Released when the file is closed.
    file.lock()?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    if text.split(|byte| *byte == b'\n').any(|known| known == line.as_bytes()) {
        return Ok(());
    }
    let begin = if text.is_empty() || text.ends_with(b"\n") { "" } else { "\n" };
    file.write_all(format!("{begin}{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn lines_are_appended_once_with_mode_0600() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/known_hosts");
        append(&file, "a ssh-ed25519 K").unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, "b ssh-ed25519 K").unwrap();
        append(&file, "a ssh-ed25519 K").unwrap();
        append(&file, "a ssh-ed25519 K").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "b ssh-ed25519 K\na ssh-ed25519 K\n");
    }
}
