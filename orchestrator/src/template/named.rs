//! Which variables are secrets by their names alone: a password that is written plainly is still a password.
//!
//! Opened secrets are known by their kind; this is about the others.

use apim_protocol::value::Secret;
use minijinja::value::{Value, ValueKind};

use crate::yaml::{Kind, Node, sounds_secret};

/// Says whether what a template sees at `path` (`apim.admin.password`, `passwords[0]`) is a secret by its name.
pub(super) fn is_secret(path: &str, value: &Value) -> bool {
    match value.kind() {
        ValueKind::String => value.as_str().is_some_and(|text| !text.is_empty()) && names_secret(path),
        ValueKind::Number => names_password(path),
        // The parts of lists and maps are asked for one by one.
        _ => false,
    }
}

/// Hides the parts of `node`, which stands at `path`, that are secrets by their names.
pub(super) fn hide_named(node: &mut Node, path: &str) {
    match &mut node.kind {
        Kind::Text { text, .. } if !text.is_empty() && names_secret(path) => hide(node),
        Kind::Int(_) | Kind::Float(..) if names_password(path) => hide(node),
        Kind::List(items) => items.iter_mut().for_each(|item| hide_named(item, path)),
        Kind::Map(entries) => {
            entries.iter_mut().for_each(|(key, value)| hide_named(value, &format!("{path}.{}", key.text)));
        }
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(..)
        | Kind::Text { .. }
        | Kind::Secret(_)
        | Kind::Sealed(_) => {}
    }
}

/// Makes every text and number in `node` a secret.
pub(super) fn hide(node: &mut Node) {
    match &mut node.kind {
        Kind::Text { text, .. } => node.kind = Kind::Secret(Secret::new(std::mem::take(text))),
        Kind::Int(number) => node.kind = Kind::Secret(Secret::new(number.to_string())),
        Kind::Float(_, text) => node.kind = Kind::Secret(Secret::new(std::mem::take(text))),
        Kind::List(items) => items.iter_mut().for_each(hide),
        Kind::Map(entries) => entries.iter_mut().for_each(|(_, value)| hide(value)),
        Kind::Null | Kind::Bool(_) | Kind::Secret(_) | Kind::Sealed(_) => {}
    }
}

fn names_secret(path: &str) -> bool {
    path.split(['.', '[', ']']).any(sounds_secret)
}

/// Numbers are hidden under narrower names: `token_validity: 3600` is none.
fn names_password(path: &str) -> bool {
    const ENDINGS: [&str; 6] = ["password", "passwd", "passphrase", "pass", "pwd", "secret"];
    let name = path.split(['.', '[']).next_back().unwrap_or(path).to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
