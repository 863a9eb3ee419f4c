//! Keystore contents, and writing them.

use apim_protocol::value::Secret;

use super::{
    Certificate, EntryKind, Format, Identity, KeystoreError, Opened, jks_format, pem, pkcs12_format,
};

/// One entry to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Trusted(Box<Certificate>),
    Identity(Identity),
}

/// The desired entries of a keystore, by alias.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    pub(super) items: Vec<(String, Item)>,
}

impl Content {
    /// Adds a key with its certificates.
    #[must_use]
    pub fn identity(mut self, alias: &str, identity: Identity) -> Self {
        self.put(alias, Item::Identity(identity));
        self
    }

    /// Adds a trusted certificate.
    #[must_use]
    pub fn trusted(mut self, alias: &str, certificate: Certificate) -> Self {
        self.put(alias, Item::Trusted(Box::new(certificate)));
        self
    }

    /// Adds all entries of `other`, which take precedence.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (alias, item) in other.items {
            self.put(&alias, item);
        }
        self
    }

    /// Returns whether an opened keystore, whose keys open with `password`, contains exactly these
    /// entries.
    #[must_use]
    pub fn is_in(&self, opened: &Opened, password: &Secret) -> bool {
        let has_entry =
            |(alias, item): &(String, Item)| match (opened.entry(alias).map(|entry| &entry.kind), item) {
                (Some(EntryKind::Trusted(one)), Item::Trusted(wanted)) => one == wanted,
                (Some(EntryKind::Key(_)), Item::Identity(wanted)) => {
                    opened.identity(alias, password).is_ok_and(|found| found == *wanted)
                }
                _ => false,
            };
        opened.entries.len() == self.items.len() && self.items.iter().all(has_entry)
    }

    fn put(&mut self, alias: &str, item: Item) {
        let alias = alias.to_lowercase();
        self.items.retain(|(known, _)| *known != alias);
        self.items.push((alias, item));
        self.items.sort_by(|one, other| one.0.cmp(&other.0));
    }
}

/// An existing keystore whose entries are kept.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// The encoded keystore.
    pub bytes: &'a [u8],
    /// The password of the keystore.
    pub password: &'a Secret,
    /// Aliases that are not kept.
    pub without: &'a [&'a str],
}

/// Writes a keystore that opens, and whose keys open, with `password`.
///
/// JKS: equal input gives equal bytes, and the entries of a JKS `base` stay unchanged byte for
/// byte. PKCS12: the salts are random, so each call gives different bytes; only trusted
/// certificates of `base` are kept.
///
/// # Errors
/// When the format does not allow the password, or `base` does not open.
pub fn write(
    format: Format,
    base: Option<Base<'_>>,
    content: &Content,
    password: &Secret,
) -> Result<Vec<u8>, KeystoreError> {
    match format {
        Format::Jks => jks_format::write(base, content, password),
        Format::Pkcs12 => pkcs12_format::write(base, content, password),
        Format::Pem => Ok(pem::write(content).into_bytes()),
    }
}
