//! Keystores: JKS or PKCS12, recognized by their first bytes as in a JDK.

use std::fs;
use std::path::{Path, PathBuf};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::config::Config;

/// An unusable keystore.
#[derive(Debug)]
pub(crate) enum KeystoreError {
    /// The file does not exist.
    Missing(PathBuf),
    /// The password is wrong, or the file is damaged.
    Password(PathBuf),
    /// It does not contain this key.
    Alias(PathBuf, String),
}

/// A private key (PKCS#8) with its certificates.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) key: Vec<u8>,
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

impl Identity {
    /// The key in the form for TLS.
    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }
}

/// The path and passwords of a keystore.
#[derive(Debug)]
pub(crate) struct Keystore {
    path: PathBuf,
    password: String,
    key_password: String,
    alias: String,
}

impl Keystore {
    /// The keystore of a section (`keystore.tls`, …).
    pub(crate) fn of(config: &Config, home: &Path, section: &str) -> Keystore {
        let get = |key: &str| config.text(&format!("{section}.{key}")).unwrap_or_default();
        Keystore {
            path: home.join("repository/resources/security").join(get("file_name")),
            password: get("password"),
            key_password: get("key_password"),
            alias: get("alias"),
        }
    }

    /// The same keystore with other passwords.
    pub(crate) fn with_password(mut self, store: &str, key: &str) -> Keystore {
        self.password = store.to_owned();
        self.key_password = key.to_owned();
        self
    }

    fn bytes(&self) -> Result<Vec<u8>, KeystoreError> {
        fs::read(&self.path).map_err(|_| KeystoreError::Missing(self.path.clone()))
    }

    fn jks(&self, bytes: &[u8]) -> Result<jks::KeyStore, KeystoreError> {
        let mut store = jks::KeyStore::new();
        store
            .load(bytes, self.password.as_bytes())
            .map_err(|_| KeystoreError::Password(self.path.clone()))?;
        Ok(store)
    }

    fn pkcs12(&self, bytes: &[u8]) -> Result<p12_keystore::KeyStore, KeystoreError> {
        let policy = p12_keystore::Pkcs12ImportPolicy::Relaxed;
        p12_keystore::KeyStore::from_pkcs12(bytes, &self.password, policy)
            .map_err(|_| KeystoreError::Password(self.path.clone()))
    }

    /// The key of the configured alias.
    pub(crate) fn identity(&self) -> Result<Identity, KeystoreError> {
        let bytes = self.bytes()?;
        let no_alias = || KeystoreError::Alias(self.path.clone(), self.alias.clone());
        if is_jks(&bytes) {
            let store = self.jks(&bytes)?;
            if !store.is_private_key_entry(&self.alias) {
                return Err(no_alias());
            }
            let entry = store
                .get_private_key_entry(&self.alias, self.key_password.as_bytes())
                .map_err(|_| KeystoreError::Password(self.path.clone()))?;
            let chain =
                entry.certificate_chain.into_iter().map(|one| CertificateDer::from(one.content)).collect();
            return Ok(Identity { key: entry.private_key, chain });
        }
        let store = self.pkcs12(&bytes)?;
        let wanted = self.alias.to_lowercase();
        let entry = store.entries().find(|(alias, _)| alias.to_lowercase() == wanted).map(|(_, entry)| entry);
        let Some(p12_keystore::KeyStoreEntry::PrivateKeyChain(entry)) = entry else { return Err(no_alias()) };
        let chain = entry.certs().iter().map(|one| CertificateDer::from(one.as_der().to_vec())).collect();
        Ok(Identity { key: entry.key().as_der().to_vec(), chain })
    }

    /// The certificates of a truststore.
    pub(crate) fn trusted(&self) -> Result<Vec<CertificateDer<'static>>, KeystoreError> {
        let bytes = self.bytes()?;
        if is_jks(&bytes) {
            let store = self.jks(&bytes)?;
            let entries = store
                .aliases()
                .into_iter()
                .filter_map(|alias| store.get_trusted_certificate_entry(&alias).ok());
            return Ok(entries.map(|entry| CertificateDer::from(entry.certificate.content)).collect());
        }
        let store = self.pkcs12(&bytes)?;
        let certificates = store.entries().filter_map(|(_, entry)| match entry {
            p12_keystore::KeyStoreEntry::Certificate(one) => {
                Some(CertificateDer::from(one.as_der().to_vec()))
            }
            _ => None,
        });
        Ok(certificates.collect())
    }
}

fn is_jks(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed])
}
