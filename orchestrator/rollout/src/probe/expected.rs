//! Which responses count as successful, and why one does not.

use std::str::FromStr;

use crate::http::ConnectionError;

/// Expected HTTP statuses: single ones and whole classes; 2xx and 3xx by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected(Vec<Statuses>);

/// A status (`401`), or a class of them (`2xx`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    first: u16,
    last: u16,
}

/// The text is neither a status nor a class of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid status `{0}`: expected 200, 401, or 2xx for a class")]
pub struct InvalidStatus(String);

/// Why a probe request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFailure {
    /// There was no response.
    #[error(transparent)]
    Connection(ConnectionError),
    /// The status was not expected.
    #[error("status {0}")]
    Status(u16),
}

impl ProbeFailure {
    /// Returns an option of the command line that may help.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connection(ConnectionError::Untrusted(_) | ConnectionError::NoAuthorities) => {
                Some("pass the issuer of the certificate with --probe-ca FILE")
            }
            Self::Connection(ConnectionError::Unresolved(_)) => {
                Some("set the address with --probe-resolve NAME=ADDRESS")
            }
            Self::Status(_) => Some("set the accepted statuses with --probe-expect STATUSES"),
            Self::Connection(ConnectionError::Timeout { .. }) => {
                Some("raise the timeout with --probe-timeout TIME")
            }
            Self::Connection(_) => None,
        }
    }
}

impl FromStr for Statuses {
    type Err = InvalidStatus;

    fn from_str(text: &str) -> Result<Self, InvalidStatus> {
        let lower = text.trim().to_ascii_lowercase();
        let (digits, width) = match lower.strip_suffix("xx") {
            Some(class) => (class, 100),
            None => (lower.as_str(), 1),
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let first =
            digits.parse::<u16>().ok().filter(|_| is_number).and_then(|number| number.checked_mul(width));
        match first {
            // Statuses below 200 are not final.
            Some(first @ 200..=599) => Ok(Self { first, last: first + width - 1 }),
            _ => Err(InvalidStatus(text.to_owned())),
        }
    }
}

impl Default for Expected {
    fn default() -> Self {
        Self(vec![Statuses { first: 200, last: 399 }])
    }
}

impl Expected {
    /// Returns the expected statuses, or the default if `statuses` is empty.
    #[must_use]
    pub fn new(statuses: Vec<Statuses>) -> Self {
        if statuses.is_empty() { Self::default() } else { Self(statuses) }
    }

    /// Checks a response.
    pub(super) fn check(&self, outcome: Result<u16, ConnectionError>) -> Result<(), ProbeFailure> {
        let status = outcome.map_err(ProbeFailure::Connection)?;
        let is_good = self.0.iter().any(|Statuses { first, last }| (*first..=*last).contains(&status));
        if is_good { Ok(()) } else { Err(ProbeFailure::Status(status)) }
    }
}
