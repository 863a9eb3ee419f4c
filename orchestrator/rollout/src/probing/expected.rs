//! Which answers count as good.

use std::str::FromStr;

/// Which statuses are good: single ones and whole classes; 2xx and 3xx where nothing is said.
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
        let wrong = || format!("`{text}` is no status: write 200, 401, or 2xx for all of a class");
        let lower = text.trim().to_ascii_lowercase();
        let (digits, width) = match lower.strip_suffix("xx") {
            Some(class) => (class, 100),
            None => (lower.as_str(), 1),
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let first =
            digits.parse::<u16>().ok().filter(|_| is_number).and_then(|number| number.checked_mul(width));
        match first {
            // Answers below 200 are none yet.
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
    /// Returns what is good: these, or the usual where there is none.
    #[must_use]
    pub fn new(statuses: Vec<Statuses>) -> Self {
        if statuses.is_empty() { Self::default() } else { Self(statuses) }
    }

    /// Says whether an answer is good, or why not.
    pub(super) fn judge(&self, outcome: Result<u16, String>) -> Result<(), String> {
        let status = outcome?;
        let is_good = self.0.iter().any(|Statuses { first, last }| (*first..=*last).contains(&status));
        if is_good { Ok(()) } else { Err(format!("status {status}")) }
    }
}
