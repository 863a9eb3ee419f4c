//! JKS, read and written by the crate `jks`. All lengths are checked first, because the crate
//! allocates memory for whatever a file claims. Salts are derived from the key, so that equal
//! keystores have equal bytes.
//!
//! Source of the format: OpenJDK, `sun.security.provider.JavaKeyStore` and `KeyProtector`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apim_protocol::value::{Secret, Sha256};
use jks::common::RandomReader;
use jks::{KeyStore, KeyStoreError, KeyStoreOptions};
use zeroize::Zeroizing;

use super::content::{Base, Content, Item};
use super::{Certificate, Entry, EntryKind, KeystoreError, PrivateKey};

/// The shortest password that JDK tools accept.
const SHORTEST_PASSWORD: usize = 6;
/// Truststores of operating systems have about 150 entries.
const MOST_ENTRIES: u32 = 10_000;
/// The size of the digest after the entries.
const DIGEST_BYTES: usize = 20;

/// A keystore whose keys are still encrypted.
pub(crate) struct Locked(KeyStore);

impl Locked {
    pub(super) fn key(&self, alias: &str, password: &Secret) -> Result<PrivateKey, KeystoreError> {
        let password = latin(password)?;
        match self.0.get_private_key_entry(alias, &password) {
            Ok(entry) => Ok(PrivateKey::from_pkcs8(entry.private_key)),
            Err(_) => Err(KeystoreError::WrongKeyPassword(alias.to_owned())),
        }
    }
}

pub(super) fn open(bytes: &[u8], password: &Secret) -> Result<(Vec<Entry>, Locked), KeystoreError> {
    let store = load(bytes, password)?;
    let mut entries = Vec::new();
    for alias in store.aliases() {
        let kind = if let Ok(entry) = store.get_trusted_certificate_entry(&alias) {
            Certificate::parse(&entry.certificate.content)
                .map_or(EntryKind::Other, |one| EntryKind::Trusted(Box::new(one)))
        } else if let Ok(chain) = store.get_private_key_entry_certificate_chain(&alias) {
            let chain: Result<Vec<_>, _> = chain.iter().map(|one| Certificate::parse(&one.content)).collect();
            EntryKind::Key(chain?)
        } else {
            EntryKind::Other
        };
        entries.push(Entry { alias, kind });
    }
    Ok((entries, Locked(store)))
}

/// Returns the bytes of a keystore with `base`'s unchanged entries and `content`, which takes
/// precedence.
pub(super) fn write(
    base: Option<Base<'_>>,
    content: &Content,
    password: &Secret,
) -> Result<Vec<u8>, KeystoreError> {
    let words = latin(password)?;
    let mut store =
        KeyStore::with_options(KeyStoreOptions { rng: Box::new(Salts::of(content, &words)), ..options() });
    if let Some(Base { bytes, password: opens, without }) = base {
        load_into(&mut store, bytes, opens)?;
        for alias in without {
            store.delete_entry(alias);
        }
    }
    let not_written = |error: KeyStoreError| match error {
        KeyStoreError::ShortPassword => KeystoreError::UnfitPassword(SHORTEST_PASSWORD),
        error => KeystoreError::NotWritten(error.to_string()),
    };
    let one = |certificate: &Certificate| jks::Certificate {
        cert_type: "X.509".to_owned(),
        content: certificate.der.to_vec(),
    };
    for (alias, item) in &content.items {
        match item {
            Item::Trusted(certificate) => {
                let entry = jks::TrustedCertificateEntry {
                    creation_time: moment(certificate.not_before),
                    certificate: one(certificate),
                };
                store.set_trusted_certificate_entry(alias, entry).map_err(not_written)?;
            }
            Item::Identity(identity) => {
                let entry = jks::PrivateKeyEntry {
                    creation_time: moment(identity.certificate().map_or(0, |own| own.not_before)),
                    private_key: identity.key.as_pkcs8().to_vec(),
                    certificate_chain: identity.chain.iter().map(one).collect(),
                };
                store.set_private_key_entry(alias, entry, &words).map_err(not_written)?;
            }
        }
    }
    let mut bytes = Vec::new();
    store.store(&mut bytes, &words).map_err(not_written)?;
    Ok(bytes)
}

fn load(bytes: &[u8], password: &Secret) -> Result<KeyStore, KeystoreError> {
    let mut store = KeyStore::with_options(options());
    load_into(&mut store, bytes, password)?;
    Ok(store)
}

fn load_into(store: &mut KeyStore, bytes: &[u8], password: &Secret) -> Result<(), KeystoreError> {
    measure(bytes).ok_or_else(|| KeystoreError::Damaged("a length exceeds the file".to_owned()))?;
    store.load(bytes, &latin(password)?).map_err(|error| match error {
        KeyStoreError::InvalidDigest => KeystoreError::WrongPassword,
        error => KeystoreError::Damaged(error.to_string()),
    })
}

fn options() -> KeyStoreOptions {
    KeyStoreOptions {
        ordered_aliases: true,
        min_password_len: SHORTEST_PASSWORD,
        ..KeyStoreOptions::default()
    }
}

/// The format encodes a password as UTF-16. The crate puts a zero before every byte, which is the
/// same for Latin-1 characters.
fn latin(password: &Secret) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let bytes: Result<Vec<u8>, _> = password.expose().chars().map(|c| u8::try_from(u32::from(c))).collect();
    bytes.map(Zeroizing::new).map_err(|_| KeystoreError::UnfitPassword(SHORTEST_PASSWORD))
}

fn moment(secs: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(secs).unwrap_or(0))
}

/// Salts derived from the encrypted content: equal input gives equal output, and different keys
/// never share a salt.
struct Salts {
    seed: Vec<u8>,
    number: u8,
}

impl Salts {
    fn of(content: &Content, password: &[u8]) -> Self {
        let mut seed = Zeroizing::new(b"apim-deploy salts of a JKS file\0".to_vec());
        seed.extend_from_slice(Sha256::of(password).to_string().as_bytes());
        for (alias, item) in &content.items {
            if let Item::Identity(identity) = item {
                seed.extend_from_slice(Sha256::of(alias.as_bytes()).to_string().as_bytes());
                seed.extend_from_slice(Sha256::of(identity.key.as_pkcs8()).to_string().as_bytes());
            }
        }
        Self { seed: Sha256::of(&seed).to_string().into_bytes(), number: 0 }
    }
}

impl RandomReader for Salts {
    fn read(&mut self, salt: &mut [u8]) -> std::io::Result<()> {
        for byte in salt.chunks_mut(32) {
            self.number = self.number.wrapping_add(1);
            let mut input = self.seed.clone();
            input.push(self.number);
            let digest = hex::decode(Sha256::of(&input).to_string()).unwrap_or_default();
            for (to, from) in byte.iter_mut().zip(digest) {
                *to = from;
            }
        }
        Ok(())
    }
}

/// Checks all lengths of a file; `None` if one of them exceeds the file.
fn measure(bytes: &[u8]) -> Option<()> {
    let mut rest = bytes.get(4..bytes.len().checked_sub(DIGEST_BYTES)?)?;
    let version = number(&mut rest)?;
    let count = number(&mut rest)?;
    if !(1..=2).contains(&version) || count > MOST_ENTRIES {
        return None;
    }
    for _ in 0..count {
        let tag = number(&mut rest)?;
        let alias = short(&mut rest)?;
        rest = rest.get(alias..)?.get(8..)?;
        let mut certificates = 1;
        if tag == 1 {
            let key = number(&mut rest)?;
            rest = rest.get(usize::try_from(key).ok()?..)?;
            certificates = number(&mut rest)?;
        }
        for _ in 0..certificates {
            if version == 2 {
                let kind = short(&mut rest)?;
                rest = rest.get(kind..)?;
            }
            let length = number(&mut rest)?;
            rest = rest.get(usize::try_from(length).ok()?..)?;
        }
    }
    rest.is_empty().then_some(())
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_be_bytes(*head))
}

fn short(rest: &mut &[u8]) -> Option<usize> {
    let (head, tail) = rest.split_first_chunk::<2>()?;
    *rest = tail;
    Some(usize::from(u16::from_be_bytes(*head)))
}
