//! The entries of a keystore, and identities: private keys with their certificate chains.

use std::fmt;

use zeroize::Zeroizing;

use super::certificate::Certificate;
use super::error::KeystoreError;

/// A private key (PKCS #8, DER). Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(Zeroizing<Vec<u8>>);

impl PrivateKey {
    /// Returns a key from PKCS #8 bytes.
    #[must_use]
    pub fn from_pkcs8(der: Vec<u8>) -> Self {
        Self(Zeroizing::new(der))
    }

    /// Returns the PKCS #8 bytes.
    #[must_use]
    pub fn as_pkcs8(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(***)")
    }
}

/// A private key with its certificate chain, its own certificate first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The key.
    pub key: PrivateKey,
    /// At least one certificate.
    pub chain: Vec<Certificate>,
}

impl Identity {
    /// Creates an identity from a key and its chain.
    ///
    /// # Errors
    /// When the chain is empty, or its first certificate does not belong to the key.
    pub fn new(key: PrivateKey, chain: Vec<Certificate>, alias: &str) -> Result<Self, KeystoreError> {
        let Some(own) = chain.first() else { return Err(KeystoreError::NoCertificate(alias.to_owned())) };
        let pair = rcgen::KeyPair::try_from(key.as_pkcs8())
            .map_err(|_| KeystoreError::UnreadableKey("its type is not RSA, EC or Ed25519"))?;
        if rcgen::PublicKeyData::subject_public_key_info(&pair) != own.public_key {
            return Err(KeystoreError::NotAPair(own.subject.clone()));
        }
        Ok(Self { key, chain })
    }

    /// Returns the key's own certificate.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.chain.first()
    }
}

/// The type of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A private key with its certificate chain, its own certificate first.
    Key(Vec<Certificate>),
    /// A trusted certificate.
    Trusted(Box<Certificate>),
    /// Another type, or an unreadable certificate.
    Other,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its alias; Java keystores ignore case.
    pub alias: String,
    /// What it is.
    pub kind: EntryKind,
}

/// Decrypted keys by alias.
pub(super) type Keys = Vec<(String, PrivateKey)>;
