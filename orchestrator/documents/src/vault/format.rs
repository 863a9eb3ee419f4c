//! The Ansible Vault formats 1.1 and 1.2 (AES-256 in counter mode, HMAC-SHA256, keys by PBKDF2).
//!
//! Source: ansible-core, `lib/ansible/parsing/vault/__init__.py`.

use aes::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, Mac};
use sha2_vault::Sha256;
use zeroize::Zeroizing;

use super::password::Password;

const HEADER: &str = "$ANSIBLE_VAULT";
const ROUNDS: u32 = 10_000;
const BLOCK: usize = 16;
const LINE: usize = 80;

/// Why a vault text cannot be decrypted or encrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The text is not in vault format, or is damaged.
    #[error("not a vault text: {0}")]
    Malformed(&'static str),
    /// The text is encrypted, and no password was given.
    #[error("encrypted, but no vault password was given")]
    NoPassword,
    /// No password decrypts the text.
    #[error("{}", wrong(*tried, label.as_deref()))]
    WrongPassword {
        /// Number of passwords tried.
        tried: usize,
        /// The vault id of the text, if any.
        label: Option<String>,
    },
    /// The operating system returned no random bytes.
    #[error("cannot get random bytes")]
    NoRandomness,
}

fn wrong(tried: usize, label: Option<&str>) -> String {
    let label = label.map(|label| format!(" (its vault id is `{label}`)")).unwrap_or_default();
    match tried {
        1 => format!("wrong vault password{label}"),
        tried => format!("none of the {tried} vault passwords is correct{label}"),
    }
}

/// Returns whether a text starts with the vault header.
#[must_use]
pub fn is_vault(text: &str) -> bool {
    text.trim_start().starts_with(HEADER)
}

struct Envelope {
    label: Option<String>,
    salt: Vec<u8>,
    mac: Vec<u8>,
    ciphertext: Vec<u8>,
}

fn unwrap(text: &str) -> Result<Envelope, VaultError> {
    let mut lines = text.split_whitespace();
    let header = lines.next().unwrap_or("");
    let mut parts = header.split(';');
    if parts.next() != Some(HEADER) {
        return Err(VaultError::Malformed("it must start with $ANSIBLE_VAULT"));
    }
    let label = match (parts.next(), parts.next(), parts.next()) {
        (Some("1.1"), Some("AES256"), None) => None,
        (Some("1.2"), Some("AES256"), label) => label.map(str::to_owned),
        (Some("1.1" | "1.2"), _, _) => return Err(VaultError::Malformed("its cipher must be AES256")),
        _ => return Err(VaultError::Malformed("its version must be 1.1 or 1.2")),
    };
    let broken = VaultError::Malformed("its body is truncated or damaged");
    let body = hex::decode(lines.collect::<String>()).map_err(|_| broken.clone())?;
    let mut fields = body.split(|byte| *byte == b'\n').map(hex::decode);
    let (Some(Ok(salt)), Some(Ok(mac)), Some(Ok(ciphertext))) = (fields.next(), fields.next(), fields.next())
    else {
        return Err(broken);
    };
    Ok(Envelope { label, salt, mac, ciphertext })
}

struct Keys(Zeroizing<[u8; 80]>);

impl Keys {
    fn derive(password: &Password, salt: &[u8]) -> Self {
        let mut keys = Zeroizing::new([0; 80]);
        pbkdf2::pbkdf2_hmac::<Sha256>(password.secret.expose().as_bytes(), salt, ROUNDS, keys.as_mut_slice());
        Self(keys)
    }

    fn part(&self, from: usize, length: usize) -> &[u8] {
        self.0.get(from..from + length).unwrap_or(&[])
    }

    fn mac(&self) -> Option<Hmac<Sha256>> {
        Hmac::new_from_slice(self.part(32, 32)).ok()
    }

    fn cipher(&self) -> Option<ctr::Ctr128BE<aes::Aes256>> {
        ctr::Ctr128BE::new_from_slices(self.part(0, 32), self.part(64, 16)).ok()
    }
}

/// Decrypts a vault text. Tries passwords with the text's vault id first, then the others.
///
/// # Errors
/// * the text is damaged
/// * no password was given, or none is correct
pub fn decrypt(text: &str, passwords: &[Password]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let envelope = unwrap(text)?;
    if passwords.is_empty() {
        return Err(VaultError::NoPassword);
    }
    let fits = |password: &&Password| envelope.label.is_some() && password.label == envelope.label;
    let others = passwords.iter().filter(|password| !fits(password));
    for password in passwords.iter().filter(fits).chain(others) {
        if let Some(plain) = open(&envelope, password) {
            return Ok(plain);
        }
    }
    Err(VaultError::WrongPassword { tried: passwords.len(), label: envelope.label })
}

fn open(envelope: &Envelope, password: &Password) -> Option<Zeroizing<Vec<u8>>> {
    let keys = Keys::derive(password, &envelope.salt);
    let mut mac = keys.mac()?;
    mac.update(&envelope.ciphertext);
    mac.verify_slice(&envelope.mac).ok()?;
    let mut plain = Zeroizing::new(envelope.ciphertext.clone());
    keys.cipher()?.apply_keystream(&mut plain);
    let padding = usize::from(*plain.last()?);
    let length = plain.len().checked_sub(padding)?;
    let is_valid =
        (1..=BLOCK).contains(&padding) && plain.iter().skip(length).all(|byte| usize::from(*byte) == padding);
    is_valid.then(|| plain.truncate(length))?;
    Some(plain)
}

/// Encrypts `plain` with the password. The result has format 1.2 if the password has a vault id,
/// else 1.1.
///
/// # Errors
/// When the operating system returns no random bytes.
pub fn encrypt(plain: &[u8], password: &Password) -> Result<String, VaultError> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|_| VaultError::NoRandomness)?;
    let keys = Keys::derive(password, &salt);
    let padding = BLOCK - plain.len() % BLOCK;
    let mut bytes = plain.to_vec();
    bytes.resize(plain.len() + padding, u8::try_from(padding).unwrap_or(16));
    let (Some(mut cipher), Some(mut mac)) = (keys.cipher(), keys.mac()) else {
        return Err(VaultError::Malformed("no key"));
    };
    cipher.apply_keystream(&mut bytes);
    mac.update(&bytes);
    let fields = [hex::encode(salt), hex::encode(mac.finalize().into_bytes()), hex::encode(bytes)].join("\n");
    let body = hex::encode(fields);
    let mut text = match &password.label {
        Some(label) => format!("{HEADER};1.2;AES256;{label}\n"),
        None => format!("{HEADER};1.1;AES256\n"),
    };
    for (at, digit) in body.chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            text.push('\n');
        }
        text.push(digit);
    }
    text.push('\n');
    Ok(text)
}
