//! Configuration values: text, lists, tables. Numbers and booleans are text, as in the config mapper.

use std::collections::BTreeMap;

/// A table by key.
pub(crate) type Table = BTreeMap<String, Value>;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    List(Vec<Value>),
    Table(Table),
}

impl Value {
    /// The text, if it is a text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Table(_) => None,
        }
    }

    /// The texts of a list.
    pub(crate) fn texts(&self) -> Vec<String> {
        match self {
            Value::Text(text) => vec![text.clone()],
            Value::List(items) => items.iter().filter_map(|item| item.text().map(str::to_owned)).collect(),
            Value::Table(_) => Vec::new(),
        }
    }
}

/// The value at a dotted path.
pub(crate) fn find<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((first, rest)) => match table.get(first)? {
            Value::Table(table) => find(table, rest),
            Value::Text(_) | Value::List(_) => None,
        },
    }
}

/// Converts a parsed table.
pub(crate) fn table(table: &dyn toml_edit::TableLike) -> Table {
    table.iter().filter_map(|(key, item)| Some((key.to_owned(), of_item(item)?))).collect()
}

fn of_item(item: &toml_edit::Item) -> Option<Value> {
    match item {
        toml_edit::Item::None => None,
        toml_edit::Item::Value(value) => Some(of_value(value)),
        toml_edit::Item::Table(inner) => Some(Value::Table(table(inner))),
        toml_edit::Item::ArrayOfTables(tables) => {
            Some(Value::List(tables.iter().map(|inner| Value::Table(table(inner))).collect()))
        }
    }
}

fn of_value(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::Text(text.value().clone()),
        toml_edit::Value::Array(items) => Value::List(items.iter().map(of_value).collect()),
        toml_edit::Value::InlineTable(inner) => Value::Table(table(inner)),
        other => Value::Text(other.to_string().trim().to_owned()),
    }
}
