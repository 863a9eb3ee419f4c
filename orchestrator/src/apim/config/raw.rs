//! The user's own keys (`config:`), merged over the derived ones.

use super::tree::{Item, Table, Value};
use crate::yaml::{Kind, Mistakes, Node};

/// What merging found.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// Derived keys that got another value.
    pub overridden: Vec<String>,
    /// Tables that would become values, and values that would become tables.
    pub clashes: Mistakes,
}

/// Merges `node` into `into`: tables deep, everything else replaced by its like.
pub(super) fn merge(into: &mut Table, node: &Node, path: &str, merged: &mut Merged) {
    let Kind::Map(entries) = &node.kind else { return };
    for (key, node) in entries {
        let here = if path.is_empty() { key.text.clone() } else { format!("{path}.{}", key.text) };
        if let (Kind::Map(_), Some(Item::Table(table))) = (&node.kind, into.get_mut(&key.text)) {
            merge(table, node, &here, merged);
            continue;
        }
        let new = item(node);
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
                merged.overridden.push(here);
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

fn item(node: &Node) -> Item {
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
        _ => Item::Value(value(node)),
    }
}

fn table(entries: &[(crate::yaml::Key, Node)]) -> Table {
    let entries = entries.iter().map(|(key, node)| (key.text.clone(), item(node))).collect();
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
