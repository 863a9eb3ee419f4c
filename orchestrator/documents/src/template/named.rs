//! Detects secrets by variable name, because a password in plain text is still a secret.
//!
//! Opened secrets have their own kind and need no detection.

use apim_protocol::value::Secret;
use minijinja::value::{Value, ValueKind};

use apim_product::yaml::{Kind, Node, sounds_secret};

/// Returns whether the value at `path` (`apim.admin.password`, `passwords[0]`) is a secret by its
/// name.
pub(super) fn is_secret(path: &str, value: &Value) -> bool {
    match value.kind() {
        ValueKind::String => value.as_str().is_some_and(|text| !text.is_empty()) && names_secret(path),
        ValueKind::Number => names_password(path),
        // The parts of lists and maps are checked one by one.
        _ => false,
    }
}

/// Hides the parts of `node`, located at `path`, that are secrets by their names.
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

/// Converts every text and number in `node` to a secret.
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

/// Fewer names apply to numbers: `token_validity: 3600` is not a secret.
fn names_password(path: &str) -> bool {
    const ENDINGS: [&str; 6] = ["password", "passwd", "passphrase", "pass", "pwd", "secret"];
    let name = path.split(['.', '[']).next_back().unwrap_or(path).to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
