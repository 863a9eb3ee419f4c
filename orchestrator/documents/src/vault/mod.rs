//! Ansible Vault: decryption, encryption, and the sources of vault passwords.
//!
//! `format` implements the format and the cipher. `password` collects passwords. `open` opens
//! `!vault`, `!env` and `!file` values and caches vault values for the run.

mod format;
mod open;
mod password;

pub use format::{VaultError, decrypt, encrypt, is_vault};
pub use open::Vault;
pub use password::{Ask, Password, PasswordError, PasswordSources, gather};

#[cfg(test)]
mod tests;
