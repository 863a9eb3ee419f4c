//! The user's own keys (`config:`), merged over the derived ones.

use super::tree::{Item, Table, Value};
use crate::yaml::{Kind, Node};

/// Merges `node` into `into`: tables deep, everything else replaced. Derived keys that got another value are told to `overridden`.
pub(super) fn merge(into: &mut Table, node: &Node, path: &str, overridden: &mut Vec<String>) {
    let Kind::Map(entries) = &node.kind else { return };
    for (key, node) in entries {
        let here = if path.is_empty() { key.text.clone() } else { format!("{path}.{}", key.text) };
        if let (Kind::Map(_), Some(Item::Table(table))) = (&node.kind, into.get_mut(&key.text)) {
            merge(table, node, &here, overridden);
            continue;
        }
        let new = item(node);
        match into.get_mut(&key.text) {
            Some(old) if *old == new => {}
            Some(_) => {
                overridden.push(here);
                into.insert(&key.text, new);
            }
            None => into.insert(&key.text, new),
        }
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
