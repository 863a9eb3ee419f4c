//! A keystore that was opened: its entries, and the identities (key and chain) in it.

use std::fmt;

use apim_protocol::value::Secret;
use zeroize::Zeroizing;

use super::{Certificate, Format, KeystoreError, jks_format, pem, pkcs12_format};

/// A private key (PKCS #8, DER). Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(Zeroizing<Vec<u8>>);

impl PrivateKey {
    /// Returns the key of these bytes, which must be PKCS #8.
    #[must_use]
    pub fn from_pkcs8(der: Vec<u8>) -> Self {
        Self(Zeroizing::new(der))
    }

    /// Returns its bytes.
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

/// A private key with its certificates, its own first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The key.
    pub key: PrivateKey,
    /// At least one certificate.
    pub chain: Vec<Certificate>,
}

impl Identity {
    /// Returns the identity of a key and its chain.
    ///
    /// # Errors
    /// When there is no certificate, or it is not the key's.
    pub fn new(key: PrivateKey, chain: Vec<Certificate>, alias: &str) -> Result<Self, KeystoreError> {
        let Some(own) = chain.first() else { return Err(KeystoreError::NoCertificate(alias.to_owned())) };
        let pair = rcgen::KeyPair::try_from(key.as_pkcs8())
            .map_err(|_| KeystoreError::UnreadableKey("its kind is not RSA, EC or Ed25519"))?;
        if rcgen::PublicKeyData::subject_public_key_info(&pair) != own.public_key {
            return Err(KeystoreError::NotAPair(own.subject.clone()));
        }
        Ok(Self { key, chain })
    }

    /// Returns the certificate that goes with the key.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.chain.first()
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A private key with its certificates, its own first.
    Key(Vec<Certificate>),
    /// A certificate that is trusted.
    Trusted(Box<Certificate>),
    /// Something else, or a certificate that cannot be read.
    Other,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name; keystores of Java do not tell upper from lower case.
    pub alias: String,
    /// What it is.
    pub kind: EntryKind,
}

/// An opened keystore.
#[derive(Clone)]
pub struct Opened {
    /// The form it has.
    pub format: Format,
    /// Its entries, by alias.
    pub entries: Vec<Entry>,
    inside: Inside,
}

#[derive(Clone)]
pub(super) enum Inside {
    /// Keys are still locked, each with its own password.
    Jks(std::sync::Arc<jks_format::Locked>),
    /// Keys by alias.
    Open(Vec<(String, PrivateKey)>),
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("format", &self.format)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl Opened {
    /// Opens a keystore; a PEM file needs no password.
    ///
    /// # Errors
    /// When it is damaged, or the password does not open it.
    pub fn open(bytes: &[u8], password: &Secret) -> Result<Self, KeystoreError> {
        let format = Format::of(bytes).ok_or(KeystoreError::UnknownFormat)?;
        let (entries, inside) = match format {
            Format::Jks => jks_format::open(bytes, password)?,
            Format::Pkcs12 => pkcs12_format::open(bytes, password)?,
            Format::Pem => pem::open(bytes)?,
        };
        Ok(Self { format, entries, inside })
    }

    /// Returns the entry called `alias`.
    #[must_use]
    pub fn entry(&self, alias: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| same(&entry.alias, alias))
    }

    /// Returns the key called `alias` with its certificates; in a PEM file the only key has every name.
    ///
    /// # Errors
    /// When there is none, it is no key, or the password does not open it.
    pub fn identity(&self, alias: &str, key_password: &Secret) -> Result<Identity, KeystoreError> {
        let entry = match self.format {
            Format::Pem => self.entries.iter().find(|entry| matches!(entry.kind, EntryKind::Key(_))),
            Format::Jks | Format::Pkcs12 => self.entry(alias),
        };
        let Some(entry) = entry else {
            if self.format == Format::Pem {
                return Err(KeystoreError::UnreadableKey("there is none in it"));
            }
            let known = self.entries.iter().map(|entry| entry.alias.clone()).collect();
            return Err(KeystoreError::NoAlias { alias: alias.to_owned(), known });
        };
        let EntryKind::Key(chain) = &entry.kind else {
            return Err(KeystoreError::NotAKey(entry.alias.clone()));
        };
        let key = match &self.inside {
            Inside::Jks(locked) => locked.key(&entry.alias, key_password)?,
            Inside::Open(keys) => {
                let found = keys.iter().find(|(name, _)| same(name, &entry.alias));
                found
                    .map(|(_, key)| key.clone())
                    .ok_or_else(|| KeystoreError::NotAKey(entry.alias.clone()))?
            }
        };
        Identity::new(key, chain.clone(), &entry.alias)
    }

    /// Returns every certificate that it lists as trusted.
    pub fn trusted(&self) -> impl Iterator<Item = (&str, &Certificate)> {
        self.entries.iter().filter_map(|entry| match &entry.kind {
            EntryKind::Trusted(certificate) => Some((entry.alias.as_str(), certificate.as_ref())),
            EntryKind::Key(_) | EntryKind::Other => None,
        })
    }

    /// Returns the aliases of its keys.
    #[must_use]
    pub fn key_aliases(&self) -> Vec<String> {
        let is_key = |entry: &&Entry| matches!(entry.kind, EntryKind::Key(_));
        self.entries.iter().filter(is_key).map(|entry| entry.alias.clone()).collect()
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
