//! Writes keystores, and compares an opened one with desired contents.

use apim_protocol::value::Secret;

use super::certificate::Certificate;
use super::content::{Base, Content, Item};
use super::entry::EntryKind;
use super::error::KeystoreError;
use super::format::Format;
use super::open::Opened;
use super::{jks_format, pem, pkcs12_format};

impl Content {
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
        Format::Pkcs12 => pkcs12_format::write(&kept(base)?, content, password),
        Format::Pem => Ok(pem::write(content).into_bytes()),
    }
}

/// Returns the trusted certificates that `base` keeps, by alias.
fn kept(base: Option<Base<'_>>) -> Result<Vec<(String, Certificate)>, KeystoreError> {
    let Some(Base { bytes, password, without }) = base else { return Ok(Vec::new()) };
    let opened = Opened::open(bytes, password)?;
    let trusted = opened.trusted().filter(|(alias, _)| !without.contains(alias));
    Ok(trusted.map(|(alias, certificate)| (alias.to_owned(), certificate.clone())).collect())
}
