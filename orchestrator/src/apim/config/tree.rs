//! A configuration as values: tables in reading order, with what is said about them. `toml` writes it, `raw` merges the user's keys into it.

use apim_protocol::value::Secret;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A text.
    Text(String),
    /// A text that is not shown.
    Secret(Secret),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A list.
    List(Vec<Value>),
    /// A map inside a list.
    Map(Vec<(String, Value)>),
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// A value.
    Value(Value),
    /// A table.
    Table(Table),
    /// An array of tables.
    Tables(Vec<Table>),
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Table {
    /// What is said above it, one line each.
    pub about: Vec<String>,
    /// Its entries, in reading order; keys are unique.
    pub entries: Vec<(String, Item)>,
}

impl Table {
    /// Returns an empty table that `line` is said about.
    pub(super) fn about(line: impl Into<String>) -> Self {
        Self { about: vec![line.into()], entries: Vec::new() }
    }

    /// Returns the table with one more line said about it.
    pub(super) fn also(mut self, line: impl Into<String>) -> Self {
        self.about.push(line.into());
        self
    }

    /// Returns the table with `key` set.
    pub(super) fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.insert(key, Item::Value(value.into()));
        self
    }

    /// Returns the table with `key` set where there is a value.
    pub(super) fn set_some(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(key, value),
            None => self,
        }
    }

    /// Puts a table at a dotted path of bare keys.
    pub(super) fn put(&mut self, path: &str, table: Self) {
        match path.split_once('.') {
            None => match self.get_mut(path) {
                Some(Item::Table(old)) => {
                    old.about.extend(table.about);
                    for (key, item) in table.entries {
                        old.insert(&key, item);
                    }
                }
                _ => self.insert(path, Item::Table(table)),
            },
            Some((first, rest)) => {
                if let Some(Item::Table(inner)) = self.get_mut(first) {
                    inner.put(rest, table);
                } else {
                    let mut inner = Self::default();
                    inner.put(rest, table);
                    self.insert(first, Item::Table(inner));
                }
            }
        }
    }

    /// Appends a table to the array of tables at a dotted path of bare keys.
    pub(super) fn push(&mut self, path: &str, table: Self) {
        match path.split_once('.') {
            None => match self.get_mut(path) {
                Some(Item::Tables(tables)) => tables.push(table),
                _ => self.insert(path, Item::Tables(vec![table])),
            },
            Some((first, rest)) => {
                if let Some(Item::Table(inner)) = self.get_mut(first) {
                    inner.push(rest, table);
                } else {
                    let mut inner = Self::default();
                    inner.push(rest, table);
                    self.insert(first, Item::Table(inner));
                }
            }
        }
    }

    /// Returns what stands under `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Item> {
        self.entries.iter().find(|(known, _)| known == key).map(|(_, item)| item)
    }

    /// Returns what stands under `key`.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Item> {
        self.entries.iter_mut().find(|(known, _)| known == key).map(|(_, item)| item)
    }

    /// Sets `key`, in its old place where it had one.
    pub(super) fn insert(&mut self, key: &str, item: Item) {
        match self.get_mut(key) {
            Some(old) => *old = item,
            None => self.entries.push((key.to_owned(), item)),
        }
    }

    /// Calls `see` with every secret.
    pub(super) fn secrets(&self, see: &mut dyn FnMut(&Secret)) {
        for (_, item) in &self.entries {
            match item {
                Item::Value(value) => value.secrets(see),
                Item::Table(table) => table.secrets(see),
                Item::Tables(tables) => tables.iter().for_each(|table| table.secrets(see)),
            }
        }
    }
}

impl Value {
    fn secrets(&self, see: &mut dyn FnMut(&Secret)) {
        match self {
            Self::Secret(secret) => see(secret),
            Self::List(values) => values.iter().for_each(|value| value.secrets(see)),
            Self::Map(entries) => entries.iter().for_each(|(_, value)| value.secrets(see)),
            Self::Text(_) | Self::Int(_) | Self::Float(_) | Self::Bool(_) => {}
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}
impl From<&Secret> for Value {
    fn from(secret: &Secret) -> Self {
        Self::Secret(secret.clone())
    }
}
impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Int(i64::from(number))
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Self {
        Self::List(texts.into_iter().map(Self::Text).collect())
    }
}
impl<const N: usize> From<[&str; N]> for Value {
    fn from(texts: [&str; N]) -> Self {
        Self::List(texts.into_iter().map(Self::from).collect())
    }
}
