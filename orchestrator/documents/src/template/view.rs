//! Exposes values to the engine. Maps and lists are read lazily, only where a template uses them.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind};

use super::named::is_secret;
use super::observed::{note_missing, note_mistake, touch_secret};
use apim_product::yaml::{Kind, Mistake, Node};

/// The variables of a scope, which a renderer provides.
pub(super) trait Values: std::fmt::Debug + Send + Sync + 'static {
    /// Returns the unrendered value of a variable.
    fn find(&self, name: &str) -> Option<Node>;

    /// Returns an additional variable, such as `hostvars`.
    fn magic(&self, name: &str) -> Option<Value>;

    /// Returns the names of all variables.
    fn names(&self) -> Vec<String>;

    /// Renders a value that another template refers to, once per scope.
    ///
    /// # Errors
    /// When it cannot be rendered or opened, or refers to itself.
    fn nested(self: Arc<Self>, node: &Node, path: &str) -> Result<Node, Mistake>;
}

/// The variables of a scope, by name.
#[derive(Debug)]
pub(super) struct Variables(pub(super) Arc<dyn Values>);

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
                note_missing(name, self.0.names());
                None
            }
        }
    }
}

/// A map or a list inside a variable.
#[derive(Debug)]
pub(super) struct View {
    values: Arc<dyn Values>,
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
                items.get(at).map(|item| show_named(&self.values, item, &format!("{}[{at}]", self.path)))
            }
            Kind::Map(entries) => {
                let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                let path = format!("{}.{name}", self.path);
                if let Some(value) = self.node.get(&name) {
                    return Some(show_named(&self.values, value, &path));
                }
                let known = entries.iter().map(|(key, _)| format!("{}.{}", self.path, key.text)).collect();
                note_missing(&path, known);
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
fn show_named(values: &Arc<dyn Values>, node: &Node, path: &str) -> Value {
    let value = show(values, node, path);
    if is_secret(path, &value) {
        touch_secret();
    }
    value
}

/// Returns `node`, located at `path`, as a value of the engine. Renders a template first.
fn show(values: &Arc<dyn Values>, node: &Node, path: &str) -> Value {
    match &node.kind {
        Kind::Null => Value::from(()),
        Kind::Bool(truth) => Value::from(*truth),
        Kind::Int(number) => Value::from(*number),
        Kind::Float(number, _) => Value::from(*number),
        Kind::Text { text, templated: false } => Value::from(text.as_str()),
        Kind::Secret(secret) => {
            touch_secret();
            Value::from(secret.expose())
        }
        Kind::Text { templated: true, .. } | Kind::Sealed(_) => match Arc::clone(values).nested(node, path) {
            Ok(node) => show(values, &node, path),
            Err(mistake) => {
                let error = Error::new(ErrorKind::InvalidOperation, mistake.what.clone());
                note_mistake(mistake);
                Value::from(error)
            }
        },
        Kind::List(_) | Kind::Map(_) => {
            Value::from_object(View { values: Arc::clone(values), node: node.clone(), path: path.to_owned() })
        }
    }
}
