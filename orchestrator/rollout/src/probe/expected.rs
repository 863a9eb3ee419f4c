//! Which responses count as successful.

use std::str::FromStr;

/// Expected HTTP statuses: single ones and whole classes; 2xx and 3xx by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected(Vec<Statuses>);

/// A status (`401`), or a class of them (`2xx`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    first: u16,
    last: u16,
}

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("invalid status `{text}`: expected 200, 401, or 2xx for a class");
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
            _ => Err(wrong()),
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

    /// Checks a response. The error is the reason why it does not count as successful.
    pub(super) fn judge(&self, outcome: Result<u16, String>) -> Result<(), String> {
        let status = outcome?;
        let is_good = self.0.iter().any(|Statuses { first, last }| (*first..=*last).contains(&status));
        if is_good { Ok(()) } else { Err(format!("status {status}")) }
    }
}
