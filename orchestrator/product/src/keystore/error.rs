//! Keystore errors. Messages never contain a password or a key.

/// Why a keystore cannot be read, opened or created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// The bytes are in none of the supported formats.
    #[error("unknown format: expected JKS, PKCS12 or PEM")]
    UnknownFormat,
    /// The bytes are truncated or inconsistent.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The password does not open it.
    #[error("the password does not open it")]
    WrongPassword,
    /// The format does not allow this password.
    #[error("the password must have at least {0} characters, all of them Latin-1")]
    UnfitPassword(usize),
    /// No entry has this alias.
    #[error("no entry `{alias}`; entries: {}", listed(known))]
    NoAlias {
        /// The requested alias.
        alias: String,
        /// The existing aliases.
        known: Vec<String>,
    },
    /// The entry contains only a certificate.
    #[error("`{0}` is a trusted certificate, not a private key")]
    NotAKey(String),
    /// The given password does not open the key.
    #[error("the key password does not open the key `{0}`")]
    WrongKeyPassword(String),
    /// The key has no certificate.
    #[error("the key `{0}` has no certificate")]
    NoCertificate(String),
    /// Key and certificate do not belong together.
    #[error("the private key does not belong to the certificate `{0}`")]
    NotAPair(String),
    /// The private key is in an unsupported format.
    #[error("cannot read the private key: {0}")]
    UnreadableKey(&'static str),
    /// The bytes are not a certificate.
    #[error("cannot read a certificate: {0}")]
    UnreadableCertificate(String),
    /// A certificate could not be issued.
    #[error("cannot issue the certificate: {0}")]
    NotIssued(String),
    /// The bytes could not be written.
    #[error("cannot write the keystore: {0}")]
    NotWritten(String),
}

fn listed(known: &[String]) -> String {
    const SHOWN: usize = 8;
    match known.len() {
        0 => "none".to_owned(),
        more if more > SHOWN => {
            let first: Vec<&str> = known.iter().take(SHOWN).map(String::as_str).collect();
            format!("{} and {} more", first.join(", "), more - SHOWN)
        }
        _ => known.join(", "),
    }
}
