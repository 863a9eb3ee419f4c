//! The untyped model of variables (`serde_yaml::Value`), used by templates and written back as
//! YAML.

use serde_yaml::value::{Tag, TaggedValue};

use super::node::{Key, Kind, Node, Sealed, Span};
use super::scalar;

pub use serde_yaml::Value;

/// Returns the value without source positions; `secret` returns the replacement for a secret.
pub fn to_value(node: &Node, secret: &impl Fn(&Kind) -> Value) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(truth) => Value::Bool(*truth),
        Kind::Int(number) => Value::Number((*number).into()),
        Kind::Float(number, _) => Value::Number((*number).into()),
        Kind::Text { text, templated: false } if scalar::looks_templated(text) => {
            let (tag, value) = (Tag::new("unsafe"), Value::String(text.clone()));
            Value::Tagged(Box::new(TaggedValue { tag, value }))
        }
        Kind::Text { text, .. } => Value::String(text.clone()),
        kind @ (Kind::Secret(_) | Kind::Sealed(_)) => secret(kind),
        Kind::List(items) => Value::Sequence(items.iter().map(|item| to_value(item, secret)).collect()),
        Kind::Map(entries) => Value::Mapping(
            entries
                .iter()
                .map(|(key, value)| (Value::String(key.text.clone()), to_value(value, secret)))
                .collect(),
        ),
    }
}

/// Returns the value as a node; every part gets the position `span`.
#[must_use]
pub fn from_value(value: &Value, span: &Span) -> Node {
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(truth) => Kind::Bool(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Kind::Int(number),
            (None, number) => Kind::Float(number.unwrap_or(f64::NAN), number.unwrap_or(f64::NAN).to_string()),
        },
        Value::String(text) => scalar::text(text.clone()),
        Value::Sequence(items) => Kind::List(items.iter().map(|item| from_value(item, span)).collect()),
        Value::Mapping(entries) => {
            let key = |key: &Value| match key {
                Value::String(text) => text.clone(),
                other => write(other).trim_end().to_owned(),
            };
            let entry =
                |(k, v): (&Value, &Value)| (Key { text: key(k), span: span.clone() }, from_value(v, span));
            Kind::Map(entries.iter().map(entry).collect())
        }
        Value::Tagged(tagged) => match (tagged.tag.to_string().as_str(), &tagged.value) {
            ("!vault", Value::String(text)) => Kind::Sealed(Sealed::Vault(text.clone())),
            ("!env", Value::String(name)) => Kind::Sealed(Sealed::Env(name.clone())),
            ("!file", Value::String(path)) => Kind::Sealed(Sealed::File(path.clone())),
            ("!unsafe", Value::String(text)) => Kind::Text { text: text.clone(), templated: false },
            (_, value) => from_value(value, span).kind,
        },
    };
    Node { kind, span: span.clone() }
}

/// Returns the value as YAML text that YAML 1.1 (Ansible) and YAML 1.2 parsers read as the same
/// value.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut value = value.clone();
    mark(&mut value);
    // Fails only for values without a YAML form; a `Value` always has one.
    serde_yaml::to_string(&value).unwrap_or_default().replace(MARK, "'")
}

/// Placeholder for a quote until the text is written: a private-use character.
const MARK: char = '\u{e0a9}';

/// serde_yaml writes YAML 1.2, where `yes` and `0755` need no quotes; YAML 1.1 parsers need them.
fn mark(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => {
            let is_text = matches!(scalar::resolve(text), Kind::Text { .. });
            if !is_text {
                *text = format!("{MARK}{text}{MARK}");
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(mark),
        Value::Mapping(entries) => {
            let marked = std::mem::take(entries).into_iter().map(|(mut key, mut value)| {
                mark(&mut key);
                mark(&mut value);
                (key, value)
            });
            *entries = marked.collect();
        }
        Value::Tagged(tagged) => mark(&mut tagged.value),
    }
}
