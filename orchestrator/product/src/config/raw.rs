//! The user's own keys (`config:`), merged over the derived ones.

use apim_protocol::value::Secret;

use super::tree::{Item, Table, Value};
use crate::yaml::{Kind, Mistakes, Node, Span, sounds_secret};

/// Maximum length of a displayed value, in characters.
const SHOWN_CHARACTERS: usize = 80;

/// A derived key that `config:` overrides.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// The dotted path of the key.
    pub key: String,
    /// The derived value, with secrets masked.
    pub derived: String,
    /// The value from `config:`, with secrets masked.
    pub configured: String,
    /// The location of the key in `config:`.
    pub span: Span,
}

/// The result of a merge.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// Derived keys that were overridden.
    pub overridden: Vec<Override>,
    /// Tables that would be replaced by values, and the other way round.
    pub clashes: Mistakes,
}

/// Merges `node` into `into`: tables recursively, everything else is replaced by the same kind of
/// item. `derived` is the table before any merging.
pub(super) fn merge(into: &mut Table, derived: Option<&Table>, node: &Node, path: &str, merged: &mut Merged) {
    let Kind::Map(entries) = &node.kind else { return };
    for (key, node) in entries {
        let here = if path.is_empty() { key.text.clone() } else { format!("{path}.{}", key.text) };
        if let (Kind::Map(_), Some(Item::Table(table))) = (&node.kind, into.get_mut(&key.text)) {
            let derived = derived.and_then(|table| match table.get(&key.text) {
                Some(Item::Table(table)) => Some(table),
                _ => None,
            });
            merge(table, derived, node, &here, merged);
            continue;
        }
        let new = item(&key.text, node);
        match into.get_mut(&key.text) {
            Some(old) if *old == new => {}
            Some(old) if !is_like(old, &new) => {
                let is = match old {
                    Item::Value(_) => "a value",
                    Item::Table(_) => "a table",
                    Item::Tables(_) => "a list of tables",
                };
                let what = format!("`config.{here}` is {is} in deployment.toml, not {}", node.describe());
                merged.clashes.add(&key.span, what);
            }
            Some(_) => {
                if let Some(old) = derived.and_then(|table| table.get(&key.text)) {
                    merged.overridden.retain(|other| other.key != here);
                    if *old != new {
                        let (derived, configured) = (shown(&key.text, old), shown(&key.text, &new));
                        let span = key.span.clone();
                        merged.overridden.push(Override { key: here, derived, configured, span });
                    }
                }
                into.insert(&key.text, new);
            }
            None => into.insert(&key.text, new),
        }
    }
}

/// Returns whether both are the same kind of item; an empty list can replace a list of tables.
fn is_like(old: &Item, new: &Item) -> bool {
    match (old, new) {
        (Item::Tables(_), Item::Value(Value::List(values))) => values.is_empty(),
        _ => std::mem::discriminant(old) == std::mem::discriminant(new),
    }
}

fn item(key: &str, node: &Node) -> Item {
    match &node.kind {
        Kind::Map(entries) => Item::Table(table(entries)),
        Kind::List(items)
            if !items.is_empty() && items.iter().all(|item| matches!(item.kind, Kind::Map(_))) =>
        {
            let tables = items.iter().filter_map(|item| match &item.kind {
                Kind::Map(entries) => Some(table(entries)),
                _ => None,
            });
            Item::Tables(tables.collect())
        }
        // A password in plain text is treated as a secret, too.
        Kind::Text { text, .. } if is_password(key) && !text.contains("${") && !text.starts_with('$') => {
            Item::Value(Value::Secret(Secret::new(text.clone())))
        }
        _ => Item::Value(value(node)),
    }
}

fn is_password(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passphrase", "secret"].iter().any(|end| key.ends_with(end))
}

fn table(entries: &[(crate::yaml::Key, Node)]) -> Table {
    let entries = entries.iter().map(|(key, node)| (key.text.clone(), item(&key.text, node))).collect();
    Table { about: Vec::new(), entries }
}

fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Text { text, .. } => Value::Text(text.clone()),
        Kind::Secret(secret) => Value::Secret(secret.clone()),
        Kind::Int(number) => Value::Int(*number),
        Kind::Float(number, _) => Value::Float(*number),
        Kind::Bool(truth) => Value::Bool(*truth),
        Kind::List(items) => Value::List(items.iter().map(value).collect()),
        Kind::Map(entries) => {
            Value::Map(entries.iter().map(|(key, node)| (key.text.clone(), value(node))).collect())
        }
        // Never reached: null is rejected before, and sealed values are opened before.
        Kind::Null | Kind::Sealed(_) => Value::Text(String::new()),
    }
}

/// Returns the displayed form of a value, with secrets masked.
fn shown(key: &str, item: &Item) -> String {
    let text = match item {
        Item::Value(value) if sounds_secret(key) && !is_placeholder(value) => "a secret".to_owned(),
        Item::Value(value) => value_shown(value),
        Item::Table(table) => format!("a table of {}", counted(table.entries.len(), "key")),
        Item::Tables(tables) => counted(tables.len(), "table"),
    };
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn value_shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Secret(_) => "a secret".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::List(values) => {
            format!("[{}]", values.iter().map(value_shown).collect::<Vec<_>>().join(", "))
        }
        Value::Map(entries) => format!("a map of {}", counted(entries.len(), "key")),
    }
}

/// Returns whether a value is a reference such as `$ref{super_admin.password}`, which is not
/// secret.
fn is_placeholder(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.starts_with('$') && text.contains('{') && text.ends_with('}'))
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
