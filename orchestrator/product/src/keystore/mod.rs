//! Keystores as bytes: reads, lists, opens and writes JKS, PKCS12 and PEM; issues certificates and
//! verifies chains.
//!
//! Pure: no files, no clock, no product knowledge. `apim` knows what a keystore is used for; `cli`
//! stores issued ones.

mod certificate;
mod content;
mod entry;
mod error;
mod format;
mod issue;
mod jks_format;
mod open;
mod pem;
mod pkcs12_format;
mod trust;
mod write;

#[cfg(test)]
pub(crate) mod tests;

pub use certificate::{Certificate, KeyKind, KeyUsage};
pub use content::{Base, Content};
pub use entry::{Entry, EntryKind, Identity, PrivateKey};
pub use error::KeystoreError;
pub use format::Format;
pub use issue::{Authority, Purpose, Wanted, serial};
pub use open::Opened;
pub use trust::{Trust, follow};
pub use write::write;
