//! Keyed digests. They show whether a value is unchanged; without the key, passwords cannot be
//! guessed from them.

use std::fmt;
use std::io;
use std::path::Path;

use apim_protocol::value::Sha256;
use hmac::{Hmac, Mac as _};

use crate::state;

/// Name of the key file in the user's state folder.
const FILE: &str = "plan.key";

/// A random key of the user, stored on this machine.
pub struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(****)")
    }
}

impl Key {
    /// Returns the key stored in `folder`. Creates it if it does not exist.
    ///
    /// # Errors
    /// If the key can be neither read nor created.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        if !path.exists() {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
            state::make_private(folder)?;
            // If two runs create the key at once, both use the first one.
            state::make(&path, hex::encode(bytes).as_bytes())?;
        }
        let text = std::fs::read_to_string(&path)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes)
            .map_err(|_| io::Error::other(format!("`{}` contains no key", path.display())))?;
        Ok(Self(bytes))
    }

    /// Returns the digest of `bytes` in the domain `what`. The same bytes have different digests in
    /// different domains.
    #[must_use]
    pub fn digest(&self, what: &str, bytes: &[u8]) -> Sha256 {
        let Ok(mut mac) = Hmac::<sha2_vault::Sha256>::new_from_slice(&self.0) else {
            return Sha256::of(&[]);
        };
        mac.update(what.as_bytes());
        mac.update(&[0]);
        mac.update(bytes);
        Sha256::from_bytes(mac.finalize().into_bytes().into())
    }

    /// Returns an identifier of the key.
    #[must_use]
    pub fn id(&self) -> String {
        self.digest("key", b"").short()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_stable_and_unique() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |name: &str| Key::of(&folder.path().join(name)).expect("a key");
        let (first, again, other) = (of("a"), of("a"), of("b"));
        assert_eq!(first.digest("x", b"1"), again.digest("x", b"1"));
        assert_ne!(first.digest("x", b"1"), first.digest("y", b"1"));
        assert_ne!(first.digest("x", b"1"), other.digest("x", b"1"));
        assert_ne!(first.id(), other.id());
        assert!(!format!("{first:?}").contains(&hex::encode(first.0)));
        std::fs::write(folder.path().join("a").join(FILE), "nonsense").expect("a file");
        assert!(
            Key::of(&folder.path().join("a"))
                .expect_err("an invalid key")
                .to_string()
                .contains("contains no key")
        );
    }
}
