//! What can be wrong with a keystore. Messages never hold a password or a key.

/// Why a keystore cannot be read, opened or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// The bytes have none of the forms.
    #[error("it is neither JKS nor PKCS12 nor PEM")]
    UnknownFormat,
    /// The bytes break off, or contradict themselves.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The password does not open it.
    #[error("the password does not open it")]
    WrongPassword,
    /// A password that this format cannot have.
    #[error("the password must have at least {0} characters, none of them outside Latin-1")]
    UnfitPassword(usize),
    /// No entry has this alias.
    #[error("there is no `{alias}` in it, only {}", listed(known))]
    NoAlias {
        /// The alias that was looked for.
        alias: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The entry holds a certificate only.
    #[error("`{0}` is a trusted certificate, not a private key")]
    NotAKey(String),
    /// The key has another password than the keystore.
    #[error("the key password does not open the key `{0}`")]
    WrongKeyPassword(String),
    /// The key has no certificate.
    #[error("the key `{0}` has no certificate")]
    NoCertificate(String),
    /// Key and certificate are not a pair.
    #[error("the private key does not belong to the certificate `{0}`")]
    NotAPair(String),
    /// A private key whose form is not understood.
    #[error("the private key cannot be read: {0}")]
    UnreadableKey(&'static str),
    /// A certificate that is none.
    #[error("a certificate in it cannot be read: {0}")]
    UnreadableCertificate(String),
    /// A certificate could not be made.
    #[error("the certificate cannot be made: {0}")]
    NotIssued(String),
    /// The bytes could not be written.
    #[error("it cannot be written: {0}")]
    NotWritten(String),
}

fn listed(known: &[String]) -> String {
    const SHOWN: usize = 8;
    match known.len() {
        0 => "nothing".to_owned(),
        more if more > SHOWN => {
            let first: Vec<&str> = known.iter().take(SHOWN).map(String::as_str).collect();
            format!("{} and {} more", first.join(", "), more - SHOWN)
        }
        _ => known.join(", "),
    }
}
