//! What is to be in a keystore, and writing it.

use apim_protocol::value::Secret;

use super::{
    Certificate, EntryKind, Format, Identity, KeystoreError, Opened, jks_format, pem, pkcs12_format,
};

/// One thing to be put into a keystore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Trusted(Box<Certificate>),
    Identity(Identity),
}

/// What is to be in a keystore, by alias.
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

    /// Adds a certificate to trust.
    #[must_use]
    pub fn trusted(mut self, alias: &str, certificate: Certificate) -> Self {
        self.put(alias, Item::Trusted(Box::new(certificate)));
        self
    }

    /// Adds everything of another one, which weighs more.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (alias, item) in other.items {
            self.put(&alias, item);
        }
        self
    }

    /// Says whether an opened keystore, whose keys open with `password`, holds exactly this.
    #[must_use]
    pub fn is_in(&self, opened: &Opened, password: &Secret) -> bool {
        let holds =
            |(alias, item): &(String, Item)| match (opened.entry(alias).map(|entry| &entry.kind), item) {
                (Some(EntryKind::Trusted(one)), Item::Trusted(wanted)) => one == wanted,
                (Some(EntryKind::Key(_)), Item::Identity(wanted)) => {
                    opened.identity(alias, password).is_ok_and(|found| found == *wanted)
                }
                _ => false,
            };
        opened.entries.len() == self.items.len() && self.items.iter().all(holds)
    }

    fn put(&mut self, alias: &str, item: Item) {
        let alias = alias.to_lowercase();
        self.items.retain(|(known, _)| *known != alias);
        self.items.push((alias, item));
        self.items.sort_by(|one, other| one.0.cmp(&other.0));
    }
}

/// A keystore whose entries are kept.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// What opens it.
    pub password: &'a Secret,
    /// Entries that are left out.
    pub without: &'a [&'a str],
}

/// Writes a keystore that opens, and whose keys open, with `password`.
///
/// JKS: the same input gives the same bytes, and entries of a JKS `base` stay byte for byte what they were. PKCS12: the format's salts are
/// random, so each call gives other bytes; only trusted certificates of `base` are kept.
///
/// # Errors
/// When the password is unfit, or `base` does not open.
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
