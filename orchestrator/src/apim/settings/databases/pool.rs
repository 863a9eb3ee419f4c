//! `apim.databases.pool`: the connection pool of a data source, in the product's own words when written.

use crate::apim::settings::read::Section;

/// The value of a pool option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolValue {
    /// A number.
    Number(i64),
    /// A switch.
    Flag(bool),
}

/// Options that were set: the product's key and the value. Only one spelling works for every database: the snake-case aliases of
/// `key-mappings.json` are renamed for `shared_db` alone (carbon-kernel).
pub type Pool = Vec<(&'static str, PoolValue)>;

/// Our key, the product's key, the least and the most.
const NUMBERS: [(&str, &str, i64, i64); 7] = [
    ("max_active", "maxActive", 1, 10_000),
    ("max_idle", "maxIdle", 0, 10_000),
    ("min_idle", "minIdle", 0, 10_000),
    ("initial_size", "initialSize", 0, 10_000),
    ("max_wait_ms", "maxWait", -1, 3_600_000),
    ("validation_interval_ms", "validationInterval", 0, 3_600_000),
    ("min_evictable_idle_ms", "minEvictableIdleTimeMillis", 0, 86_400_000),
];

/// Our key, the product's key.
const FLAGS: [(&str, &str); 5] = [
    ("test_on_borrow", "testOnBorrow"),
    ("test_while_idle", "testWhileIdle"),
    ("default_auto_commit", "defaultAutoCommit"),
    ("commit_on_return", "commitOnReturn"),
    ("rollback_on_return", "rollbackOnReturn"),
];

pub(super) fn read(section: &mut Section<'_, '_>) -> Pool {
    let mut pool = Pool::new();
    let Some(mut part) = section.section("pool") else { return pool };
    for (ours, theirs, least, most) in NUMBERS {
        if let Some(number) = part.number(ours, least..=most) {
            pool.push((theirs, PoolValue::Number(number)));
        }
    }
    for (ours, theirs) in FLAGS {
        if part.place(ours).is_some() {
            pool.push((theirs, PoolValue::Flag(part.flag(ours, false))));
        }
    }
    let number = |key| pool.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
    if let (Some(PoolValue::Number(least)), Some(PoolValue::Number(most))) =
        (number("minIdle"), number("maxActive"))
        && least > most
    {
        let span = part.span().clone();
        part.mistakes
            .add(&span, format!("`{}`: {least} idle connections of at most {most}", part.path("min_idle")));
    }
    part.finish();
    pool
}

/// Returns `over` with what only `base` says.
pub(super) fn merged(base: &Pool, over: Pool) -> Pool {
    let mut pool = base.clone();
    for (key, value) in over {
        match pool.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => pool.push((key, value)),
        }
    }
    pool
}
