//! `apim.databases.pool`: options of a data source's connection pool.

use crate::settings::read::Section;

/// The value of a pool option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolValue {
    /// A number.
    Number(i64),
    /// A switch.
    Flag(bool),
}

/// The options that are set: the product's key and the value. Only the camel-case keys work for
/// every database: the snake-case aliases of `key-mappings.json` are mapped for `shared_db` only
/// (carbon-kernel).
pub type Pool = Vec<(&'static str, PoolValue)>;

/// Inventory key, product key, minimum and maximum.
const NUMBERS: [(&str, &str, i64, i64); 7] = [
    ("max_active", "maxActive", 1, 10_000),
    ("max_idle", "maxIdle", 0, 10_000),
    ("min_idle", "minIdle", 0, 10_000),
    ("initial_size", "initialSize", 0, 10_000),
    ("max_wait_ms", "maxWait", -1, 3_600_000),
    ("validation_interval_ms", "validationInterval", 0, 3_600_000),
    ("min_evictable_idle_ms", "minEvictableIdleTimeMillis", 0, 86_400_000),
];

/// Inventory key, product key.
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
    for (key, product_key, minimum, maximum) in NUMBERS {
        if let Some(number) = part.number(key, minimum..=maximum) {
            pool.push((product_key, PoolValue::Number(number)));
        }
    }
    for (key, product_key) in FLAGS {
        if part.place(key).is_some() {
            pool.push((product_key, PoolValue::Flag(part.flag(key, false))));
        }
    }
    let number = |key| pool.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
    if let (Some(PoolValue::Number(min_idle)), Some(PoolValue::Number(max_active))) =
        (number("minIdle"), number("maxActive"))
        && min_idle > max_active
    {
        let span = part.span().clone();
        part.mistakes.add(
            &span,
            format!("`{}` ({min_idle}) is larger than `max_active` ({max_active})", part.path("min_idle")),
        );
    }
    part.finish();
    pool
}

/// Returns `base` overridden by `over`.
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
