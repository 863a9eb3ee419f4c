//! The user's private keys: read once per run, decrypted once, a passphrase asked for once.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use apim_protocol::value::Secret;
use russh::keys::{
    Certificate, PrivateKey, PublicKey, decode_secret_key, load_openssh_certificate, load_public_key,
};
use tokio::sync::Mutex;

use super::destination::Identity;

/// Longest key file that is read, in bytes.
const KEY_FILE_LIMIT: u64 = 64 * 1024;

/// Asks the user for the passphrase of a key.
pub trait AskPassphrase: Send + Sync + 'static {
    /// Returns the passphrase of `key`, or `None` where nobody can be asked. `again` says that the last answer was wrong.
    fn ask(&self, key: &Path, again: bool) -> Option<Secret>;
}

/// Asks on the terminal, where there is one.
#[derive(Debug, Clone, Copy, Default)]
pub struct AskOnTerminal;

impl AskPassphrase for AskOnTerminal {
    fn ask(&self, key: &Path, again: bool) -> Option<Secret> {
        let begin = if again { "Wrong passphrase. Again, passphrase" } else { "Passphrase" };
        rpassword::prompt_password(format!("{begin} of the key `{}`: ", key.display())).ok().map(Secret::new)
    }
}

/// Asks nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct AskNobody;

impl AskPassphrase for AskNobody {
    fn ask(&self, _key: &Path, _again: bool) -> Option<Secret> {
        None
    }
}

/// Why a key file gives no key.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum KeyError {
    #[error("there is no such file")]
    Missing,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("others may read it (mode {0:04o}); make it 0600")]
    Open(u32),
    #[error(
        "it is encrypted, and nobody could be asked for its passphrase; add it to ssh-agent, or set `apim_ssh_key_passphrase`"
    )]
    Locked,
    #[error("its passphrase is wrong")]
    WrongPassphrase,
    #[error("it is no private key that we understand: {0}")]
    Garbled(String),
}

/// The keys of a run.
pub(super) struct KeyRing {
    ask: Arc<dyn AskPassphrase>,
    /// Held while a passphrase is asked for: one question at a time, and each once.
    keys: Mutex<HashMap<PathBuf, Result<Arc<PrivateKey>, KeyError>>>,
}

impl KeyRing {
    pub(super) fn new(ask: Arc<dyn AskPassphrase>) -> Self {
        Self { ask, keys: Mutex::default() }
    }

    /// Says whether using `identity` would mean asking the user.
    pub(super) async fn would_ask(&self, identity: &Identity) -> bool {
        identity.passphrase.is_none()
            && !self.keys.lock().await.contains_key(&identity.path)
            && is_encrypted(&identity.path)
    }

    /// Returns the private key of `identity`.
    pub(super) async fn load(&self, identity: &Identity) -> Result<Arc<PrivateKey>, KeyError> {
        let mut keys = self.keys.lock().await;
        if let Some(known) = keys.get(&identity.path) {
            return known.clone();
        }
        let (ask, wanted) = (Arc::clone(&self.ask), identity.clone());
        // Reading, asking and decrypting (which is slow on purpose) block.
        let loaded = tokio::task::spawn_blocking(move || read_key(&wanted, ask.as_ref()).map(Arc::new))
            .await
            .unwrap_or_else(|error| Err(KeyError::Garbled(error.to_string())));
        keys.insert(identity.path.clone(), loaded.clone());
        loaded
    }
}

fn read_key(identity: &Identity, ask: &dyn AskPassphrase) -> Result<PrivateKey, KeyError> {
    let text = read_file(&identity.path)?;
    match decode_secret_key(&text, None) {
        Ok(key) => return Ok(key),
        Err(russh::keys::Error::KeyIsEncrypted) => {}
        Err(error) if !looks_encrypted(&text) => return Err(KeyError::Garbled(error.to_string())),
        Err(_) => {}
    }
    if let Some(passphrase) = &identity.passphrase {
        return decode_secret_key(&text, Some(passphrase.expose())).map_err(|_| KeyError::WrongPassphrase);
    }
    for again in [false, true, true] {
        let passphrase = ask.ask(&identity.path, again).ok_or(KeyError::Locked)?;
        if let Ok(key) = decode_secret_key(&text, Some(passphrase.expose())) {
            return Ok(key);
        }
    }
    Err(KeyError::WrongPassphrase)
}

fn looks_encrypted(text: &str) -> bool {
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

fn read_file(path: &Path) -> Result<String, KeyError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => KeyError::Missing,
        _ => KeyError::Unreadable(error.to_string()),
    };
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() || meta.len() > KEY_FILE_LIMIT {
        return Err(KeyError::Unreadable("it is not a key file".to_owned()));
    }
    let mode = meta.permissions().mode() & 0o777;
    // As OpenSSH: a key of the user's own that others can read is not used. Somebody else's (a mounted secret) is theirs to guard.
    let own = std::fs::metadata("/proc/self").map_or(true, |process| process.uid() == meta.uid());
    if own && mode & 0o077 != 0 {
        return Err(KeyError::Open(mode));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Returns the public half of a key file without its passphrase: from the file itself, or from `FILE.pub`.
pub(super) fn public_half(path: &Path) -> Option<PublicKey> {
    let inside = read_file(path).ok().and_then(|text| PrivateKey::from_openssh(text).ok());
    inside.map(|key| key.public_key().clone()).or_else(|| load_public_key(beside(path, ".pub")).ok())
}

/// Says whether a key file is encrypted, without trying to open it.
pub(super) fn is_encrypted(path: &Path) -> bool {
    read_file(path).is_ok_and(|text| {
        looks_encrypted(&text) || PrivateKey::from_openssh(&text).is_ok_and(|key| key.is_encrypted())
    })
}

/// Returns the user certificate beside a key file, where there is one.
pub(super) fn certificate(path: &Path) -> Option<Certificate> {
    load_openssh_certificate(beside(path, "-cert.pub")).ok()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
