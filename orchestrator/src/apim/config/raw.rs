//! The user's own keys (`config:`), merged over the derived ones.

use apim_protocol::value::Secret;

use super::Override;
use super::tree::{Item, Table, Value};
use crate::yaml::{Kind, Mistakes, Node, sounds_secret};

/// A longer value is cut where it is shown.
const SHOWN_CHARACTERS: usize = 80;

/// What merging found.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// Derived keys that got another value.
    pub overridden: Vec<Override>,
    /// Tables that would become values, and values that would become tables.
    pub clashes: Mistakes,
}

/// Merges `node` into `into`: tables deep, everything else replaced by its like. `derived` is what stood there before any merging.
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
                if let Some(ours) = derived.and_then(|table| table.get(&key.text)) {
                    merged.overridden.retain(|other| other.key != here);
                    if *ours != new {
                        let (ours, theirs) = (shown(&key.text, ours), shown(&key.text, &new));
                        merged.overridden.push(Override { key: here, ours, theirs, span: key.span.clone() });
                    }
                }
                into.insert(&key.text, new);
            }
            None => into.insert(&key.text, new),
        }
    }
}

/// An empty list may stand for a list of tables.
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
        // A password that was written plainly is one all the same.
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
        // Refused before it comes to this: TOML has no such value, and secrets are opened first.
        Kind::Null | Kind::Sealed(_) => Value::Text(String::new()),
    }
}

/// A value as people may see it.
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

/// `$ref{super_admin.password}` tells nobody anything.
fn is_placeholder(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.starts_with('$') && text.contains('{') && text.ends_with('}'))
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
