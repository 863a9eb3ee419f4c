//! Extra variables of the command line: `-e key=value`, `-e '{"a": 1}'`, `-e @file`.

use std::path::Path;

use super::sources::read_yaml;
use crate::vault::Vault;
use apim_product::yaml::{
    Key, Kind, Mistake, Mistakes, Node, Span, Value, from_value, looks_templated, parse, to_value,
};

/// Parses one `-e`. Values of `key=value` are texts, as in Ansible. JSON and YAML values keep their
/// types.
#[must_use]
pub fn parse_extra(text: &str, vault: &Vault, mistakes: &mut Mistakes) -> Vec<(Key, Node)> {
    let at = Span::flag("-e");
    let text = text.trim();
    if let Some(file) = text.strip_prefix('@') {
        return match read_yaml(Path::new(file), vault, mistakes) {
            Some(node) => entries(node, mistakes),
            None => Vec::new(),
        };
    }
    if text.starts_with(['{', '[']) {
        return match parse("-e", text) {
            // A flag has no line numbers, so its values get the position `from -e`.
            Ok(node) if !holds_sealed(&node) => {
                entries(from_value(&to_value(&node, &|_| Value::Null), &at), mistakes)
            }
            Ok(node) => entries(node, mistakes),
            Err(found) => {
                mistakes.0.extend(found.0.into_iter().map(|mistake| Mistake { span: at.clone(), ..mistake }));
                Vec::new()
            }
        };
    }
    let Some(words) = shlex::split(text) else {
        mistakes.add(&at, "unclosed quote");
        return Vec::new();
    };
    let mut variables = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                let templated = looks_templated(value);
                let kind = Kind::Text { text: value.to_owned(), templated };
                let key = Key { text: key.to_owned(), span: at.clone() };
                super::file::set(&mut variables, key, Node { kind, span: at.clone() });
            }
            _ => {
                let hint = "write key=value, '{\"key\": value}' or @file";
                mistakes.add_hint(&at, "variable without `=`", hint);
            }
        }
    }
    variables
}

fn entries(node: Node, mistakes: &mut Mistakes) -> Vec<(Key, Node)> {
    match node.kind {
        Kind::Map(entries) => entries,
        Kind::Null => Vec::new(),
        _ => {
            mistakes.add(&node.span, format!("extra variables must be a map, not {}", node.describe()));
            Vec::new()
        }
    }
}

fn holds_sealed(node: &Node) -> bool {
    match &node.kind {
        Kind::Sealed(_) => true,
        Kind::List(items) => items.iter().any(holds_sealed),
        Kind::Map(entries) => entries.iter().any(|(_, value)| holds_sealed(value)),
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(..) | Kind::Text { .. } | Kind::Secret(_) => {
            false
        }
    }
}
