//! PKCS #12 keystores of Java and OpenSSL, read and written by the crate `p12_keystore`.

use apim_protocol::value::Secret;
use p12_keystore::error::Error;
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy, PrivateKeyChain};

use super::content::{Content, Item};
use super::entry::Keys;
use super::{Certificate, Entry, EntryKind, KeystoreError, PrivateKey};

/// The shortest password that JDK tools accept.
const SHORTEST_PASSWORD: usize = 6;

pub(super) fn open(bytes: &[u8], password: &Secret) -> Result<(Vec<Entry>, Keys), KeystoreError> {
    let store =
        KeyStore::from_pkcs12(bytes, password.expose(), Pkcs12ImportPolicy::Relaxed).map_err(refused)?;
    let mut entries = Vec::new();
    let mut keys = Vec::new();
    for (alias, entry) in store.entries() {
        let kind = match entry {
            KeyStoreEntry::PrivateKeyChain(chain) => {
                keys.push((alias.clone(), PrivateKey::from_pkcs8(chain.key().as_der().to_vec())));
                let chain: Result<Vec<_>, _> =
                    chain.certs().iter().map(|one| Certificate::parse(one.as_der())).collect();
                EntryKind::Key(chain?)
            }
            KeyStoreEntry::Certificate(one) => Certificate::parse(one.as_der())
                .map_or(EntryKind::Other, |one| EntryKind::Trusted(Box::new(one))),
            KeyStoreEntry::Secret(_) => EntryKind::Other,
        };
        entries.push(Entry { alias: alias.clone(), kind });
    }
    Ok((entries, keys))
}

/// A wrong password causes a wrong digest if the file has one, otherwise unreadable content.
fn refused(error: Error) -> KeystoreError {
    match error {
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => KeystoreError::WrongPassword,
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => {
            KeystoreError::Damaged(format!("{error}; convert it with keytool -importkeystore"))
        }
        error => KeystoreError::Damaged(error.to_string()),
    }
}

/// Returns the bytes of a keystore with the trusted certificates `kept` and `content`, which takes
/// precedence.
pub(super) fn write(
    kept: &[(String, Certificate)],
    content: &Content,
    password: &Secret,
) -> Result<Vec<u8>, KeystoreError> {
    let not_written = |error: Error| KeystoreError::NotWritten(error.to_string());
    if password.expose().chars().count() < SHORTEST_PASSWORD {
        return Err(KeystoreError::UnfitPassword(SHORTEST_PASSWORD));
    }
    let mut store = KeyStore::new();
    let mut trust = |alias: &str, certificate: &Certificate| {
        let certificate = p12_keystore::Certificate::from_der(&certificate.der)?;
        store.add_entry(alias, KeyStoreEntry::Certificate(certificate));
        Ok(())
    };
    for (alias, certificate) in kept {
        trust(alias, certificate).map_err(not_written)?;
    }
    for (alias, item) in &content.items {
        match item {
            Item::Trusted(certificate) => trust(alias, certificate).map_err(not_written)?,
            Item::Identity(_) => {}
        }
    }
    for (alias, item) in &content.items {
        if let Item::Identity(identity) = item {
            let key = p12_keystore::PrivateKey::from_der(identity.key.as_pkcs8()).map_err(not_written)?;
            let chain: Result<Vec<_>, _> =
                identity.chain.iter().map(|one| p12_keystore::Certificate::from_der(&one.der)).collect();
            let chain = PrivateKeyChain::new(alias.as_str(), key, chain.map_err(not_written)?);
            store.add_entry(alias, KeyStoreEntry::PrivateKeyChain(chain));
        }
    }
    store.writer(password.expose()).write().map_err(not_written)
}
