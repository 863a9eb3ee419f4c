//! The formats of keystores.

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
