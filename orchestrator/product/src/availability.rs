//! How many nodes of a role may be down at once, as a number or a percentage. The engine enforces
//! it.

use std::fmt;

/// Why a text is not an [`Allowance`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowanceError {
    /// A percentage outside of 1 to 99.
    #[error("invalid percentage `{0}`: must be 1% to 99%, because 100% is an outage")]
    Percentage(String),
    /// Neither a number nor a percentage.
    #[error("`{0}` is not a number of nodes or a percentage")]
    Form(String),
}

/// How many nodes of a role may be down at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// A number of nodes.
    Nodes(usize),
    /// A percentage of the nodes, rounded down, at least one node.
    Percent(u8),
    /// All nodes: an intended outage. Inventories cannot set this.
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
    /// When the text is neither a number nor a percentage from 1 to 99.
    pub fn parse(text: &str) -> Result<Self, AllowanceError> {
        if let Some(number) = text.strip_suffix('%') {
            return match number.trim_end().parse() {
                Ok(percent @ 1..=99) => Ok(Self::Percent(percent)),
                _ => Err(AllowanceError::Percentage(text.to_owned())),
            };
        }
        text.parse().map(Self::Nodes).map_err(|_| AllowanceError::Form(text.to_owned()))
    }

    /// Returns the number of nodes for a role of `size` nodes.
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
    fn numbers_and_percentages_are_parsed() {
        assert_eq!(Allowance::parse("2"), Ok(Allowance::Nodes(2)));
        assert_eq!(Allowance::parse("25%"), Ok(Allowance::Percent(25)));
        for wrong in ["", "-1", "two", "0%", "100%", "1.5", "%"] {
            assert!(Allowance::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn percentage_is_rounded_down_to_at_least_one() {
        assert_eq!([1, 2, 3, 5, 9].map(|size| Allowance::Percent(34).of(size)), [1, 1, 1, 1, 3]);
        assert_eq!([2, 3, 5].map(|size| Allowance::Percent(99).of(size)), [1, 2, 4]);
    }
}
