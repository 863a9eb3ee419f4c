//! Keystores as bytes: reads, lists, opens and writes JKS, PKCS12 and PEM; issues certificates and
//! verifies chains.
//!
//! Pure: no files, no clock, no product knowledge. `apim` knows what a keystore is used for; `cli`
//! stores issued ones.

mod certificate;
mod error;
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
pub use error::KeystoreError;
pub use issue::{Authority, Purpose, Wanted, serial};
pub use open::{Entry, EntryKind, Identity, Opened, PrivateKey};
pub use trust::{Trust, follow};
pub use write::{Base, Content, write};

/// A keystore format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Java KeyStore.
    Jks,
    /// PKCS #12.
    Pkcs12,
    /// Certificates and an optional key, as text.
    Pem,
}

impl Format {
    /// Returns the name for display; Java uses the same.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Jks => "JKS",
            Self::Pkcs12 => "PKCS12",
            Self::Pem => "PEM",
        }
    }

    /// Detects the format: a JKS file begins with its magic number, a PKCS12 file with a DER or BER
    /// sequence of more than 127 bytes, and a PEM file has a line that begins a block.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) {
            return Some(Self::Jks);
        }
        if [0x80, 0x81, 0x82, 0x83].iter().any(|length| bytes.starts_with(&[0x30, *length])) {
            return Some(Self::Pkcs12);
        }
        let begins = b"-----BEGIN ";
        bytes.windows(begins.len()).any(|window| window == begins).then_some(Self::Pem)
    }
}
