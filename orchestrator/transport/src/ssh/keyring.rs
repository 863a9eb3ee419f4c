//! The user's private keys: each is read, decrypted and its passphrase asked for once per run.

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

/// Maximum size of a key file, in bytes.
const KEY_FILE_LIMIT: u64 = 64 * 1024;

/// Source of passphrases.
pub trait AskPassphrase: Send + Sync + 'static {
    /// Returns the passphrase of `key`, or `None` if it cannot ask. `again` is set if the
    /// previous answer was wrong.
    fn ask(&self, key: &Path, again: bool) -> Option<Secret>;
}

/// Asks on the terminal.
#[derive(Debug, Clone, Copy, Default)]
pub struct AskOnTerminal;

impl AskPassphrase for AskOnTerminal {
    fn ask(&self, key: &Path, again: bool) -> Option<Secret> {
        let begin = if again { "Wrong passphrase, try again. Passphrase" } else { "Passphrase" };
        rpassword::prompt_password(format!("{begin} of the key `{}`: ", key.display())).ok().map(Secret::new)
    }
}

/// Never asks: encrypted keys without a passphrase in the inventory cannot be used.
#[derive(Debug, Clone, Copy, Default)]
pub struct NeverAsk;

impl AskPassphrase for NeverAsk {
    fn ask(&self, _key: &Path, _again: bool) -> Option<Secret> {
        None
    }
}

/// Why a key file cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum KeyError {
    #[error("no such file")]
    Missing,
    #[error("cannot read it: {0}")]
    Unreadable(String),
    #[error("it is accessible by other users (mode {0:04o}); change the mode to 0600")]
    Open(u32),
    #[error(
        "it is encrypted, and its passphrase cannot be asked for without a terminal; add it to ssh-agent, or set `apim_ssh_key_passphrase`"
    )]
    Locked,
    #[error("wrong passphrase")]
    WrongPassphrase,
    #[error("not a supported private key: {0}")]
    Garbled(String),
}

/// The keys of a run.
pub(super) struct KeyRing {
    ask: Arc<dyn AskPassphrase>,
    /// Locked while asking for a passphrase: one prompt at a time, each once.
    keys: Mutex<HashMap<PathBuf, Result<Arc<PrivateKey>, KeyError>>>,
}

impl KeyRing {
    pub(super) fn new(ask: Arc<dyn AskPassphrase>) -> Self {
        Self { ask, keys: Mutex::default() }
    }

    /// Returns whether loading `identity` would ask the user.
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
        return Err(KeyError::Unreadable("not a key file".to_owned()));
    }
    let mode = meta.permissions().mode() & 0o777;
    // As in OpenSSH: a key that belongs to the user must not be accessible by others. The mode of a
    // key of another owner (such as a mounted secret) is not checked.
    let own = std::fs::metadata("/proc/self").map_or(true, |process| process.uid() == meta.uid());
    if own && mode & 0o077 != 0 {
        return Err(KeyError::Open(mode));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Returns the public half of a key file without its passphrase: from the file itself, or from
/// `FILE.pub`.
pub(super) fn public_half(path: &Path) -> Option<PublicKey> {
    let inside = read_file(path).ok().and_then(|text| PrivateKey::from_openssh(text).ok());
    inside.map(|key| key.public_key().clone()).or_else(|| load_public_key(with_suffix(path, ".pub")).ok())
}

/// Returns whether a key file is encrypted, without decrypting it.
pub(super) fn is_encrypted(path: &Path) -> bool {
    read_file(path).is_ok_and(|text| {
        looks_encrypted(&text) || PrivateKey::from_openssh(&text).is_ok_and(|key| key.is_encrypted())
    })
}

/// Returns the user certificate of a key file (`FILE-cert.pub`), if there is one.
pub(super) fn certificate(path: &Path) -> Option<Certificate> {
    load_openssh_certificate(with_suffix(path, "-cert.pub")).ok()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
