//! Exposes values to the engine. Maps and lists are read lazily, only where a template uses them.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind};

use super::named::is_secret;
use super::scope::Inner;
use apim_product::yaml::{Kind, Node};

/// The variables of a scope, by name.
#[derive(Debug)]
pub(super) struct Variables(pub(super) Arc<Inner>);

impl Object for Variables {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        match self.0.find(name) {
            Some(node) => Some(show_named(&self.0, &node, name)),
            None => {
                if let Some(value) = self.0.magic(name) {
                    return Some(value);
                }
                // The engine searches variables before its own functions, so this is not always an
                // error.
                self.0.note_missing(name, self.0.names());
                None
            }
        }
    }
}

/// A map or a list inside a variable.
#[derive(Debug)]
pub(super) struct View {
    inner: Arc<Inner>,
    pub(super) node: Node,
    pub(super) path: String,
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if matches!(self.node.kind, Kind::List(_)) { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match &self.node.kind {
            Kind::List(items) => {
                let at = key.as_usize()?;
                items.get(at).map(|item| show_named(&self.inner, item, &format!("{}[{at}]", self.path)))
            }
            Kind::Map(entries) => {
                let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                let path = format!("{}.{name}", self.path);
                if let Some(value) = self.node.get(&name) {
                    return Some(show_named(&self.inner, value, &path));
                }
                let known = entries.iter().map(|(key, _)| format!("{}.{}", self.path, key.text)).collect();
                self.inner.note_missing(&path, known);
                None
            }
            Kind::Null
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(..)
            | Kind::Text { .. }
            | Kind::Secret(_)
            | Kind::Sealed(_) => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.node.kind {
            Kind::List(items) => Enumerator::Seq(items.len()),
            Kind::Map(entries) => {
                let keys: Vec<Value> =
                    entries.iter().map(|(key, _)| Value::from(key.text.as_str())).collect();
                Enumerator::Iter(Box::new(keys.into_iter()))
            }
            Kind::Null
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(..)
            | Kind::Text { .. }
            | Kind::Secret(_)
            | Kind::Sealed(_) => Enumerator::NonEnumerable,
        }
    }
}

/// Returns `node` as a value of the engine, and records the use of a secret if its path is the name
/// of one.
fn show_named(inner: &Arc<Inner>, node: &Node, path: &str) -> Value {
    let value = show(inner, node, path);
    if is_secret(path, &value) {
        inner.touch_secret();
    }
    value
}

/// Returns `node`, located at `path`, as a value of the engine. Renders a template first.
fn show(inner: &Arc<Inner>, node: &Node, path: &str) -> Value {
    match &node.kind {
        Kind::Null => Value::from(()),
        Kind::Bool(truth) => Value::from(*truth),
        Kind::Int(number) => Value::from(*number),
        Kind::Float(number, _) => Value::from(*number),
        Kind::Text { text, templated: false } => Value::from(text.as_str()),
        Kind::Secret(secret) => {
            inner.touch_secret();
            Value::from(secret.expose())
        }
        Kind::Text { templated: true, .. } | Kind::Sealed(_) => match inner.nested(node, path) {
            Ok(node) => show(inner, &node, path),
            Err(mistake) => {
                let error = Error::new(ErrorKind::InvalidOperation, mistake.what.clone());
                inner.note_mistake(mistake);
                Value::from(error)
            }
        },
        Kind::List(_) | Kind::Map(_) => {
            Value::from_object(View { inner: Arc::clone(inner), node: node.clone(), path: path.to_owned() })
        }
    }
}
