//! Parts of a content: what of it is asked for when not all of it is.

use serde::{Deserialize, Serialize};

/// The most parts of one request.
pub const MAX_PARTS: usize = 50_000;

/// Some bytes of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where they begin.
    pub from: u64,
    /// How many.
    pub length: u64,
}

impl Part {
    /// Returns where the bytes behind it begin; `None` for a part that no content can have.
    #[must_use]
    pub const fn end(&self) -> Option<u64> {
        self.from.checked_add(self.length)
    }
}

/// Returns how many bytes `parts` have in all; `None` when they are not parts of a content of `size` bytes, each behind the one
/// before it, none empty, and not too many.
#[must_use]
pub fn total(parts: &[Part], size: u64) -> Option<u64> {
    if parts.is_empty() || parts.len() > MAX_PARTS {
        return None;
    }
    let (mut at, mut total) = (0, 0);
    for part in parts {
        let end = part.end().filter(|end| *end <= size)?;
        if part.from < at || part.length == 0 {
            return None;
        }
        (at, total) = (end, total + part.length);
    }
    Some(total)
}

/// Makes one of those of `parts`, which are in order, that lie right behind each other.
#[must_use]
pub fn joined(parts: impl IntoIterator<Item = Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if last.end() == Some(part.from) => last.length += part.length,
            _ => joined.push(part),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(all: &[(u64, u64)]) -> Vec<Part> {
        all.iter().map(|(from, length)| Part { from: *from, length: *length }).collect()
    }

    #[test]
    fn parts_lie_inside_in_order_and_are_counted() {
        assert_eq!(total(&parts(&[(0, 10), (10, 5), (90, 10)]), 100), Some(25));
        for nonsense in [
            &[][..],
            &[(0, 0)],
            &[(0, 101)],
            &[(100, 1)],
            &[(10, 5), (14, 1)],
            &[(10, 5), (0, 5)],
            &[(5, u64::MAX)],
            &[(u64::MAX, u64::MAX)],
        ] {
            assert_eq!(total(&parts(nonsense), 100), None, "{nonsense:?}");
        }
        let many: Vec<(u64, u64)> = (0..=MAX_PARTS as u64).map(|n| (n * 2, 1)).collect();
        assert_eq!(total(&parts(&many), u64::MAX), None);
    }

    #[test]
    fn neighbours_become_one() {
        let found = joined(parts(&[(0, 10), (10, 5), (20, 1), (21, 4)]));
        assert_eq!(found, parts(&[(0, 15), (20, 5)]));
    }
}
