//! Values that cross the wire, each valid once constructed: paths, modes, owners, digests, secrets, unit names.
//!
//! Nothing here touches the host.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// Says why a text is not the value it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{text}`: {why}")]
pub struct ValueError {
    /// The kind of value that was wanted, such as `path`.
    pub what: &'static str,
    /// The text that was given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

fn refuse<T>(what: &'static str, text: &str, why: &'static str) -> Result<T, ValueError> {
    Err(ValueError { what, text: text.chars().take(200).collect(), why })
}

macro_rules! text_value {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl TryFrom<String> for $name {
            type Error = ValueError;
            fn try_from(text: String) -> Result<Self, ValueError> {
                Self::parse(&text)
            }
        }
        impl FromStr for $name {
            type Err = ValueError;
            fn from_str(text: &str) -> Result<Self, ValueError> {
                Self::parse(text)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    };
}

text_value!(AbsPath, "An absolute, normalized Unix path: no `..`, no `.`, no doubled slash, no NUL.");
text_value!(UnitName, "A systemd service name without its `.service` ending.");

impl AbsPath {
    /// Returns the path for `text`.
    ///
    /// # Errors
    /// When the text is not absolute, holds `..` or control characters, or is longer than 4,000 bytes.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        if !text.starts_with('/') {
            return refuse("path", text, "must be absolute");
        }
        if text.len() > 4000 {
            return refuse("path", text, "is longer than 4,000 bytes");
        }
        if text.chars().any(char::is_control) {
            return refuse("path", text, "holds a control character");
        }
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => return refuse("path", text, "must not hold `..`"),
                part => parts.push(part),
            }
        }
        Ok(Self(format!("/{}", parts.join("/"))))
    }

    /// Returns this path with `relative` below it.
    ///
    /// # Errors
    /// As [`AbsPath::parse`].
    pub fn join(&self, relative: &str) -> Result<Self, ValueError> {
        Self::parse(&format!("{}/{relative}", self.0))
    }

    /// Returns the folder that holds this path, or `/`.
    #[must_use]
    pub fn parent(&self) -> Self {
        match self.0.rfind('/') {
            Some(0) | None => Self("/".to_owned()),
            Some(at) => Self(self.0.get(..at).unwrap_or("/").to_owned()),
        }
    }

    /// Returns the last part of the path (empty for `/`).
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }
}

impl UnitName {
    /// Returns the unit name for `text`.
    ///
    /// # Errors
    /// When it is empty, longer than 128 bytes, or holds anything but letters, digits and `-_.@`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        if text.is_empty() || text.len() > 128 {
            return refuse("unit", text, "must have 1 to 128 characters");
        }
        if !text.chars().all(fits) || text.starts_with(['-', '.']) {
            return refuse("unit", text, "may hold letters, digits and - _ . @ only");
        }
        Ok(Self(text.to_owned()))
    }
}

/// The longest name of a release, in bytes.
const MAX_RELEASE_NAME: usize = 100;

/// Says whether `text` can be the name of a release: short, letters, digits and `-_.+` only, no dot in front.
#[must_use]
pub fn is_release_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    !text.is_empty() && text.len() <= MAX_RELEASE_NAME && !text.starts_with('.') && text.chars().all(fits)
}

/// The permission bits of a file or folder, such as `0640`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileMode(u32);

impl FileMode {
    /// Returns the mode for the twelve permission bits of `bits`.
    #[must_use]
    pub const fn new(bits: u32) -> Self {
        Self(bits & 0o7777)
    }

    /// Returns the bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0 & 0o7777
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.bits())
    }
}

impl fmt::Debug for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The owner of a file, by name; what is `None` stays unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The account's name.
    pub user: Option<String>,
    /// The group's name.
    pub group: Option<String>,
}

/// A SHA-256 digest; written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Returns the digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Returns the digest of everything that `from` contains.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_reader(from: &mut impl io::Read) -> io::Result<Self> {
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(Self(hasher.finalize().into())),
                Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the digest that these 32 bytes are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the digest for 64 hex digits.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => refuse("SHA-256 digest", text, "must be 64 hex digits"),
        }
    }

    /// Returns the first 12 hex digits, for names and messages.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl TryFrom<String> for Sha256 {
    type Error = ValueError;
    fn try_from(text: String) -> Result<Self, ValueError> {
        Self::parse(&text)
    }
}
impl From<Sha256> for String {
    fn from(value: Sha256) -> String {
        value.to_string()
    }
}

/// A text that must never be shown: it has no `Display`, and its `Debug` is masked.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Returns the secret that `text` is.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself; the caller answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

/// Bytes named by their digest; they travel apart from the operation, and only when the host lacks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Content {
    /// The digest that the bytes must have.
    pub sha256: Sha256,
    /// How many bytes there are.
    pub size: u64,
}

impl Content {
    /// Returns the name of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: Sha256::of(bytes), size: bytes.len() as u64 }
    }
}
