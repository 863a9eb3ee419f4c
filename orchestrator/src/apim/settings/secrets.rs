//! `apim.secrets`: in which form passwords stand in `deployment.toml`.

/// Where a node finds its secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretsMode {
    /// In `deployment.toml` itself, which only the service account can read.
    #[default]
    Plain,
    /// In the environment of the service, from a file beside the component that only its account can read; `deployment.toml` names variables.
    Environment,
    /// Encrypted in `deployment.toml` by the product's cipher tool with the key of the internal (or primary) keystore.
    Cipher,
}

impl SecretsMode {
    /// Every mode with its word in an inventory.
    pub const WORDS: [(&'static str, Self); 3] =
        [("plain", Self::Plain), ("environment", Self::Environment), ("cipher", Self::Cipher)];

    /// Returns its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Environment => "environment",
            Self::Cipher => "cipher",
        }
    }
}
