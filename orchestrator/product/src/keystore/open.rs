//! An opened keystore: its entries, and the identities in it.

use std::fmt;
use std::sync::Arc;

use apim_protocol::value::Secret;

use super::certificate::Certificate;
use super::entry::{Entry, EntryKind, Identity, Keys};
use super::error::KeystoreError;
use super::format::Format;
use super::{jks_format, pem, pkcs12_format};

/// An opened keystore.
#[derive(Clone)]
pub struct Opened {
    /// The format that it was read from.
    pub format: Format,
    /// Its entries, by alias.
    pub entries: Vec<Entry>,
    inside: Inside,
}

#[derive(Clone)]
enum Inside {
    /// Keys are still encrypted, each with its own password.
    Jks(Arc<jks_format::Locked>),
    /// Keys by alias.
    Open(Keys),
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
    /// When the file is damaged, or the password does not open it.
    pub fn open(bytes: &[u8], password: &Secret) -> Result<Self, KeystoreError> {
        let format = Format::of(bytes).ok_or(KeystoreError::UnknownFormat)?;
        let (entries, inside) = match format {
            Format::Jks => {
                let (entries, locked) = jks_format::open(bytes, password)?;
                (entries, Inside::Jks(Arc::new(locked)))
            }
            Format::Pkcs12 => {
                let (entries, keys) = pkcs12_format::open(bytes, password)?;
                (entries, Inside::Open(keys))
            }
            Format::Pem => {
                let (entries, keys) = pem::open(bytes)?;
                (entries, Inside::Open(keys))
            }
        };
        Ok(Self { format, entries, inside })
    }

    /// Returns the entry `alias`.
    #[must_use]
    pub fn entry(&self, alias: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| same(&entry.alias, alias))
    }

    /// Returns the key `alias` with its certificates. The only key of a PEM file matches every
    /// alias.
    ///
    /// # Errors
    /// When the entry does not exist, is not a key, or the password does not open it.
    pub fn identity(&self, alias: &str, key_password: &Secret) -> Result<Identity, KeystoreError> {
        let entry = match self.format {
            Format::Pem => self.entries.iter().find(|entry| matches!(entry.kind, EntryKind::Key(_))),
            Format::Jks | Format::Pkcs12 => self.entry(alias),
        };
        let Some(entry) = entry else {
            if self.format == Format::Pem {
                return Err(KeystoreError::UnreadableKey("the file contains none"));
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

    /// Returns all trusted certificates with their aliases.
    pub fn trusted(&self) -> impl Iterator<Item = (&str, &Certificate)> {
        self.entries.iter().filter_map(|entry| match &entry.kind {
            EntryKind::Trusted(certificate) => Some((entry.alias.as_str(), certificate.as_ref())),
            EntryKind::Key(_) | EntryKind::Other => None,
        })
    }

    /// Returns the aliases of all keys.
    #[must_use]
    pub fn key_aliases(&self) -> Vec<String> {
        let is_key = |entry: &&Entry| matches!(entry.kind, EntryKind::Key(_));
        self.entries.iter().filter(is_key).map(|entry| entry.alias.clone()).collect()
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
