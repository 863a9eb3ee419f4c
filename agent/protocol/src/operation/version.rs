//! Which version of something a host has, from a file of `KEY="value"` lines or from a program.

use serde::{Deserialize, Serialize};

use crate::value::AbsPath;

/// Where a version is read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionOf {
    /// A file with a line `KEY=value` or `KEY="value"`.
    pub file: AbsPath,
    /// The key.
    pub key: String,
    /// A program that prints its version, run when the file has none.
    pub program: AbsPath,
    /// The program's arguments.
    pub arguments: Vec<String>,
}

/// Returns the main number of a version: 21 of `21.0.2+13`, 22 of `22-ea`, 8 of `1.8.0_392` as it was once written.
#[must_use]
pub fn main_number(version: &str) -> Option<u32> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next().and_then(|second| second.parse().ok()).or(Some(1)),
        first => Some(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn main_numbers_are_read_from_old_and_new_versions() {
        for (version, number) in
            [("21.0.2", 21), ("1.8.0_392", 8), ("11", 11), ("22-ea", 22), ("17.0.9+9-LTS", 17), ("1", 1)]
        {
            assert_eq!(main_number(version), Some(number), "{version}");
        }
        assert_eq!(main_number("ea"), None);
    }
}
