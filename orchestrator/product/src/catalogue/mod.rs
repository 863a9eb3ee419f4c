//! The keys of `deployment.toml` that the product reads, by component and series. `keys.tsv` lists
//! them, `check` validates `config:` with them.
//!
//! The product silently ignores unknown keys, so a typo has no effect and no error.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::release::Series;
use super::role::Role;

mod check;
#[cfg(test)]
mod tests;

pub(crate) use check::Findings;

/// The kind of item that a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A table.
    Table,
    /// An array of tables.
    Tables,
    /// A value that is not a table.
    Value,
    /// Unknown.
    Any,
}

/// The components and series that read a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Readers {
    /// One bit for each of [`Role::ALL`].
    roles: u8,
    /// One bit for each of [`Series::ALL`].
    series: u8,
}

impl Readers {
    const NONE: Self = Self { roles: 0, series: 0 };

    const fn contains(self, role: Role, series: Series) -> bool {
        self.roles & role_bit(role) != 0 && self.series & series_bit(series) != 0
    }

    /// A table is read by every reader of a key in it. Roles and series are joined separately, so
    /// the result may contain a few combinations too many.
    const fn joined(self, other: Self) -> Self {
        Self { roles: self.roles | other.roles, series: self.series | other.series }
    }
}

const fn role_bit(role: Role) -> u8 {
    match role {
        Role::ControlPlane => 1,
        Role::KeyManager => 2,
        Role::Gateway => 4,
        Role::TrafficManager => 8,
        Role::AllInOne => 16,
    }
}

const fn series_bit(series: Series) -> u8 {
    match series {
        Series::V4_5 => 1,
        Series::V4_6 => 2,
        Series::V4_7 => 4,
    }
}

/// A key and what is below it.
#[derive(Debug)]
pub(crate) struct Entry {
    form: Form,
    readers: Readers,
    below: BTreeMap<&'static str, Entry>,
}

impl Default for Entry {
    fn default() -> Self {
        Self { form: Form::Table, readers: Readers::NONE, below: BTreeMap::new() }
    }
}

impl Entry {
    /// Returns the entry of `key` directly below this one: that of the name, else the wildcard.
    fn get(&self, key: &str) -> Option<&Self> {
        self.below.get(key).or_else(|| self.below.get("*"))
    }

    /// Returns the entry of `key` directly below this one that `role` reads in `series`.
    fn read_by<'a>(&'a self, key: &str, role: Role, series: Series) -> Option<&'a Self> {
        let named = [self.below.get(key), self.below.get("*")];
        named.into_iter().flatten().find(|entry| entry.readers.contains(role, series))
    }

    /// Returns the names directly below this entry that `role` reads in `series`.
    fn names(&self, role: Role, series: Series) -> impl Iterator<Item = &'static str> {
        let read = move |(_, entry): &(&&'static str, &Self)| entry.readers.contains(role, series);
        self.below.iter().filter(read).map(|(name, _)| *name).filter(|name| *name != "*")
    }
}

static KEYS: LazyLock<Entry> = LazyLock::new(|| parse(include_str!("keys.tsv")));
static NEVER_READ: LazyLock<Vec<Advice>> = LazyLock::new(|| {
    let rows = include_str!("never_read.tsv").lines().filter(|line| !line.starts_with('#'));
    let advice = |line: &'static str| {
        let mut fields = line.split('\t');
        let (key, text) = (fields.next()?, fields.next()?);
        Some(Advice { key: segments(key), text, is_fatal: fields.next().is_some() })
    };
    rows.filter_map(advice).collect()
});

/// The replacement of a key that is documented somewhere, but that the product does not read.
#[derive(Debug)]
struct Advice {
    key: Vec<&'static str>,
    text: &'static str,
    /// Whether the key does harm.
    is_fatal: bool,
}

/// Returns the root of the catalogue.
pub(crate) fn keys() -> &'static Entry {
    &KEYS
}

/// Returns whether `role` reads the key at `path` in `series`.
#[cfg(test)]
pub(crate) fn is_read(path: &[&str], role: Role, series: Series) -> bool {
    let step = |entry: &'static Entry, key: &&str| entry.read_by(key, role, series);
    path.iter().try_fold(keys(), step).is_some()
}

/// Returns the advice for a key that is documented somewhere, but that the product does not read.
fn advice(path: &[&str]) -> Option<&'static Advice> {
    let fits = |known: &[&str]| {
        let is_table = known.last() == Some(&"*");
        // A table without any key that is read is reported at the table itself.
        let is_long_enough = known.len() <= path.len() + usize::from(is_table);
        let is_short_enough = known.len() >= path.len() || is_table;
        is_long_enough
            && is_short_enough
            && known.iter().zip(path).all(|(known, key)| *known == "*" || known == key)
    };
    NEVER_READ.iter().find(|advice| fits(&advice.key))
}

/// Splits `a.'b.c'[].d` into `a`, `b.c`, `d`.
fn segments(path: &'static str) -> Vec<&'static str> {
    let mut rest = path;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (segment, after) = match rest.strip_prefix('\'').and_then(|quoted| quoted.split_once('\'')) {
            Some((segment, after)) => (segment, after.strip_prefix("[]").unwrap_or(after)),
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                let (segment, after) = rest.split_at(end);
                (segment.strip_suffix("[]").unwrap_or(segment), after)
            }
        };
        all.push(segment);
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    all
}

fn parse(text: &'static str) -> Entry {
    let mut root = Entry::default();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut fields = line.split('\t');
        let (Some(path), Some(kind)) = (fields.next(), fields.next()) else { continue };
        let form = match kind {
            "table" => Form::Table,
            "tables" => Form::Tables,
            "any" => Form::Any,
            _ => Form::Value,
        };
        let readers = Readers {
            roles: roles(fields.next().unwrap_or("*")),
            series: series(fields.next().unwrap_or_default()),
        };
        let mut entry = &mut root;
        for segment in segments(path) {
            entry = entry.below.entry(segment).or_default();
            entry.readers = entry.readers.joined(readers);
        }
        entry.form = form;
    }
    root
}

fn roles(letters: &str) -> u8 {
    letters.chars().fold(0, |bits, letter| {
        bits | match letter {
            'A' => role_bit(Role::ControlPlane),
            'K' => role_bit(Role::KeyManager),
            'G' => role_bit(Role::Gateway),
            'T' => role_bit(Role::TrafficManager),
            'O' => role_bit(Role::AllInOne),
            _ => u8::MAX,
        }
    })
}

fn series(words: &str) -> u8 {
    let of = |word: &str| Series::ALL.into_iter().find(|series| series.text() == word).map_or(0, series_bit);
    if words.is_empty() { u8::MAX } else { words.split(' ').map(of).fold(0, |bits, bit| bits | bit) }
}
