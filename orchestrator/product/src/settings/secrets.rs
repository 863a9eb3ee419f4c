//! `apim.secrets`: how secrets are stored in `deployment.toml`.

/// Where a node reads its secrets from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretsMode {
    /// From `deployment.toml` itself, which only the service account can read.
    #[default]
    Plain,
    /// From environment variables of the service, which systemd reads from a file next to the
    /// component that only the service account can read. `deployment.toml` refers to the variables.
    Environment,
    /// From `deployment.toml`, encrypted by the product's cipher tool with the key of the internal
    /// (or primary) keystore.
    Cipher,
}

impl SecretsMode {
    /// Every mode with its name in an inventory.
    pub const WORDS: [(&'static str, Self); 3] =
        [("plain", Self::Plain), ("environment", Self::Environment), ("cipher", Self::Cipher)];

    /// Returns its name in an inventory.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Environment => "environment",
            Self::Cipher => "cipher",
        }
    }
}
