//! Ansible Vault: opening and sealing secrets in its format, and where its passwords come from.
//!
//! `format` is the envelope and the cipher; `password` finds passwords; `open` opens `!vault`, `!env` and `!file` values and
//! remembers them for the run.

mod format;
mod open;
mod password;

pub use format::{VaultError, decrypt, encrypt, is_vault};
pub use open::Vault;
pub use password::{Ask, Password, PasswordError, PasswordSources, gather};

#[cfg(test)]
mod tests;
