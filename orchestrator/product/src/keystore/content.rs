//! The desired entries of a keystore, and an existing keystore to keep.

use apim_protocol::value::Secret;

use super::certificate::Certificate;
use super::entry::Identity;

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
