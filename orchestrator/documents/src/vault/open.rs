//! Opens sealed values: `!vault`, `!env`, `!file`.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use apim_protocol::value::Secret;
use zeroize::Zeroizing;

use super::format::{VaultError, decrypt, is_vault};
use super::password::Password;
use apim_product::yaml::{Mistake, Open, Sealed, Span};

/// The maximum size of a `!file` secret in bytes.
const SECRET_FILE_BYTES: u64 = 1024 * 1024;

/// The vault passwords of a run, and a cache of decrypted values. Deriving a key takes
/// milliseconds, and many hosts share a value.
#[derive(Default)]
pub struct Vault {
    passwords: Vec<Password>,
    opened: Mutex<HashMap<String, Result<Secret, VaultError>>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("passwords", &self.passwords.len()).finish_non_exhaustive()
    }
}

impl Vault {
    /// Returns a vault with these passwords.
    #[must_use]
    pub fn new(passwords: Vec<Password>) -> Self {
        Self { passwords, opened: Mutex::default() }
    }

    /// Returns a file's text, decrypted if the whole file is encrypted.
    ///
    /// # Errors
    /// When the file is encrypted and cannot be decrypted.
    pub fn file_text(&self, name: &str, text: String) -> Result<String, Mistake> {
        if !is_vault(&text) {
            return Ok(text);
        }
        let span = Span { line: 1, column: 1, length: 1, ..Span::flag(name) };
        let plain = decrypt(&text, &self.passwords).map_err(|error| mistake(&span, &error))?;
        String::from_utf8(plain.to_vec()).map_err(|_| not_text(&span))
    }

    fn vault(&self, text: &str, span: &Span) -> Result<Secret, Mistake> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let result = opened.entry(text.to_owned()).or_insert_with(|| {
            let plain = decrypt(text, &self.passwords)?;
            match std::str::from_utf8(&plain) {
                Ok(plain) => Ok(Secret::new(plain)),
                Err(_) => Err(VaultError::Malformed("the decrypted content is not UTF-8 text")),
            }
        });
        result.clone().map_err(|error| mistake(span, &error))
    }
}

impl Open for Vault {
    fn open(&self, sealed: &Sealed, span: &Span) -> Result<Secret, Mistake> {
        match sealed {
            Sealed::Vault(text) => self.vault(text, span),
            Sealed::Env(name) => std::env::var(name).map(Secret::new).map_err(|_| {
                let hint = format!("set it first: `export {name}=…`");
                Mistake {
                    span: span.clone(),
                    what: format!("environment variable `{name}` is not set"),
                    hint: Some(hint),
                }
            }),
            Sealed::File(name) => {
                let path = resolve(name, span);
                let text = read(&path).map_err(|why| Mistake {
                    span: span.clone(),
                    what: format!("cannot read the secret file `{}`: {why}", path.display()),
                    hint: Some("a relative path starts at the folder of this file".to_owned()),
                })?;
                let text = if is_vault(&text) {
                    self.vault(&text, span)?.expose().to_owned()
                } else {
                    text.to_string()
                };
                Ok(Secret::new(text.strip_suffix('\n').unwrap_or(&text)))
            }
        }
    }
}

fn resolve(name: &str, span: &Span) -> PathBuf {
    if let (Some(rest), Some(home)) = (name.strip_prefix("~/"), std::env::var_os("HOME")) {
        return PathBuf::from(home).join(rest);
    }
    match span.file_name().and_then(|file| Path::new(file).parent()) {
        Some(folder) => folder.join(name),
        None => PathBuf::from(name),
    }
}

/// Why a `!file` secret cannot be read.
#[derive(Debug, thiserror::Error)]
enum SecretFileError {
    #[error("it must be a regular file of at most 1 MiB")]
    NotSuitable,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn read(path: &Path) -> Result<Zeroizing<String>, SecretFileError> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() || meta.len() > SECRET_FILE_BYTES {
        return Err(SecretFileError::NotSuitable);
    }
    Ok(std::fs::read_to_string(path).map(Zeroizing::new)?)
}

fn mistake(span: &Span, error: &VaultError) -> Mistake {
    let hint = match error {
        VaultError::NoPassword => "pass one with --vault-password-file, --vault-id or --ask-vault-pass",
        VaultError::WrongPassword { .. } => {
            "check whether it was encrypted with another password or vault id"
        }
        VaultError::Malformed(_) | VaultError::NoRandomness => {
            "encrypt it again with `ansible-vault encrypt_string`"
        }
    };
    let what = match error {
        VaultError::Malformed(_) => error.to_string(),
        _ => format!("cannot decrypt this value: {error}"),
    };
    Mistake { span: span.clone(), what, hint: Some(hint.to_owned()) }
}

fn not_text(span: &Span) -> Mistake {
    Mistake { span: span.clone(), what: "the decrypted content is not UTF-8 text".to_owned(), hint: None }
}
