//! How many nodes of a role may be down at once, as people say it: a number, or a percentage. What follows from it is the engine's.

use std::fmt;

/// How many nodes of a role may be down at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// So many.
    Nodes(usize),
    /// So many of a hundred, rounded down, at least one.
    Percent(u8),
    /// All of them: an outage that is wanted. No inventory says this.
    All,
}

impl Default for Allowance {
    fn default() -> Self {
        Self::Nodes(1)
    }
}

impl Allowance {
    /// Reads `2` or `25%`.
    ///
    /// # Errors
    /// Why it is neither, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(number) = text.strip_suffix('%') {
            return match number.trim_end().parse() {
                Ok(percent @ 1..=99) => Ok(Self::Percent(percent)),
                _ => Err(format!("`{text}` is no percentage from 1% to 99%: all nodes at once is an outage")),
            };
        }
        let number =
            text.parse().map_err(|_| format!("`{text}` is neither a number of nodes nor a percentage"))?;
        Ok(Self::Nodes(number))
    }

    /// Returns how many that is of `size` nodes.
    #[must_use]
    pub const fn of(self, size: usize) -> usize {
        match self {
            Self::Nodes(number) => number,
            Self::Percent(percent) => {
                let number = size * percent as usize / 100;
                if number == 0 { 1 } else { number }
            }
            Self::All => usize::MAX,
        }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(number) => write!(f, "{number}"),
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::All => f.write_str("all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_percentages_are_read_and_everything_else_is_told() {
        assert_eq!(Allowance::parse("2"), Ok(Allowance::Nodes(2)));
        assert_eq!(Allowance::parse("25%"), Ok(Allowance::Percent(25)));
        for wrong in ["", "-1", "two", "0%", "100%", "1.5", "%"] {
            assert!(Allowance::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_percentage_is_rounded_down_and_never_to_nothing() {
        assert_eq!([1, 2, 3, 5, 9].map(|size| Allowance::Percent(34).of(size)), [1, 1, 1, 1, 3]);
        assert_eq!([2, 3, 5].map(|size| Allowance::Percent(99).of(size)), [1, 2, 4]);
    }
}
