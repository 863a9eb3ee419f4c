//! Computes how many nodes of a pool may be down at once, from the settings and the pool size.

use std::collections::BTreeMap;

use apim_product::availability::Allowance;

/// How many nodes of each pool may be down at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// For pools that are not in `pools`.
    pub default: Allowance,
    /// By pool.
    pub pools: BTreeMap<String, Allowance>,
    /// Number of nodes of each pool, including nodes outside this run.
    pub sizes: BTreeMap<String, usize>,
    /// Whether the last healthy node of a pool may be taken down (`--allow-outage`). Nodes that
    /// were down before the run do not count then.
    pub outage: bool,
    /// Whether one node of a pool goes first, alone, until its health check has passed.
    pub canary: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            default: Allowance::default(),
            pools: BTreeMap::new(),
            sizes: BTreeMap::new(),
            outage: false,
            canary: true,
        }
    }
}

impl Limits {
    /// Returns how many nodes of `pool` may be down at once. Never all of them, except with
    /// `outage`. A pool of one node has no availability to protect.
    #[must_use]
    pub fn of(&self, pool: &str) -> usize {
        let allowance = self.pools.get(pool).copied().unwrap_or(self.default);
        match self.sizes.get(pool) {
            None => allowance.of(1),
            Some(&size @ (0 | 1)) => allowance.of(size),
            Some(&size) if self.outage => allowance.of(size),
            Some(&size) => allowance.of(size).min(size - 1),
        }
    }

    /// Returns whether `pool` is known to have only one node.
    pub(crate) fn is_single(&self, pool: &str) -> bool {
        self.sizes.get(pool) == Some(&1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(allowance: Allowance, size: usize, outage: bool) -> usize {
        let sizes = BTreeMap::from([("gateway".to_owned(), size)]);
        Limits { default: allowance, sizes, outage, ..Limits::default() }.of("gateway")
    }

    #[test]
    fn limit_is_below_pool_size_without_outage() {
        for size in 2..20 {
            for allowance in
                [Allowance::Nodes(99), Allowance::Nodes(size), Allowance::Percent(99), Allowance::All]
            {
                assert!(limit(allowance, size, false) < size, "{allowance:?} of {size}");
            }
        }
        assert_eq!(limit(Allowance::Nodes(2), 2, true), 2);
        assert_eq!(limit(Allowance::Percent(50), 1, false), 1);
        assert_eq!(limit(Allowance::Nodes(1), 1, false), 1);
    }

    #[test]
    fn limits_of_two_three_and_five_nodes() {
        let of = |allowance| [2, 3, 5].map(|size| limit(allowance, size, false));
        assert_eq!(of(Allowance::default()), [1, 1, 1]);
        assert_eq!(of(Allowance::Nodes(2)), [1, 2, 2]);
        assert_eq!(of(Allowance::Percent(50)), [1, 1, 2]);
        assert_eq!(of(Allowance::Nodes(0)), [0, 0, 0], "no node may be restarted");
    }
}
