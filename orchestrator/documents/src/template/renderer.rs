//! Renders values with the variables of one scope.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::engine::engine;
use super::error::mistake;
use super::named::{hide, hide_named};
use super::observed::{self, watch};
use super::python;
use super::view::{Values, Variables, View};
use apim_product::yaml::{Key, Kind, Mistake, Mistakes, Node, Open, Span};

/// Maximum nesting depth of templates in variables.
const DEPTH: usize = 40;

/// The variables of a scope, and the values rendered from them.
pub(super) struct Renderer {
    pub(super) layers: Vec<Arc<HashMap<String, Node>>>,
    /// Overrides all layers, including later ones (`-e`).
    pub(super) top: Arc<HashMap<String, Node>>,
    pub(super) magic: Arc<HashMap<String, Value>>,
    pub(super) open: Arc<dyn Open + Send + Sync>,
    pub(super) state: Mutex<State>,
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

/// Values that are being rendered or were rendered.
#[derive(Default)]
pub(super) struct State {
    /// Paths of the variables being rendered, outermost first.
    stack: Vec<String>,
    rendered: HashMap<String, Node>,
}

impl Renderer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renders or opens one value that is neither a list nor a map.
    fn leaf(self: &Arc<Self>, node: &Node) -> Result<Node, Mistake> {
        let kind = match &node.kind {
            Kind::Sealed(sealed) => Kind::Secret(self.open.open(sealed, &node.span)?),
            Kind::Text { text, templated: true } => return self.template(text, &node.span),
            kind => kind.clone(),
        };
        Ok(Node { kind, span: node.span.clone() })
    }

    fn template(self: &Arc<Self>, text: &str, span: &Span) -> Result<Node, Mistake> {
        let (result, holds_secret) = watch(|| match single_expression(text) {
            Some(expression) => self.evaluate(expression).and_then(|value| {
                let node = self.take(&value, span)?;
                if value.downcast_object_ref::<View>().is_some() {
                    // Each part is marked as secret on its own.
                    observed::forget_secret();
                }
                Ok(node)
            }),
            None => engine().render_str(text, self.context()).map(|text| plain(text, span)),
        });
        let mut node = result.map_err(|error| mistake(&error, span))?;
        if holds_secret {
            hide(&mut node);
        }
        Ok(node)
    }

    pub(super) fn context(self: &Arc<Self>) -> Value {
        let values: Arc<dyn Values> = self.clone();
        Value::from_object(Variables(values))
    }

    pub(super) fn evaluate(self: &Arc<Self>, expression: &str) -> Result<Value, Error> {
        let value = engine().compile_expression_owned(expression.to_owned())?.eval(self.context())?;
        if value.is_undefined() {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        Ok(value)
    }

    /// Converts a value of the engine to a node. Maps and lists of the inventory keep their source
    /// positions.
    fn take(self: &Arc<Self>, value: &Value, span: &Span) -> Result<Node, Error> {
        if let Some(view) = value.downcast_object_ref::<View>() {
            let mut mistakes = Mistakes::default();
            let mut node = self.deep(&view.node, &mut mistakes);
            hide_named(&mut node, &view.path);
            if let Some(mistake) = mistakes.0.into_iter().next() {
                let error = Error::new(ErrorKind::InvalidOperation, mistake.what.clone());
                observed::note_mistake(mistake);
                return Err(error);
            }
            return Ok(node);
        }
        let kind = match value.kind() {
            ValueKind::None => Kind::Null,
            ValueKind::Bool => Kind::Bool(value.is_true()),
            ValueKind::Number => match (value.is_integer(), value.as_i64()) {
                (true, Some(number)) => Kind::Int(number),
                _ => Kind::Float(f64::try_from(value.clone())?, value.to_string()),
            },
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Result<_, Error> = value.try_iter()?.map(|item| self.take(&item, span)).collect();
                Kind::List(items?)
            }
            ValueKind::Map => {
                let mut entries = Vec::new();
                for key in value.try_iter()? {
                    let item = self.take(&value.get_item(&key)?, span)?;
                    let text = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                    entries.push((Key { text, span: span.clone() }, item));
                }
                Kind::Map(entries)
            }
            ValueKind::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
            _ => return Ok(plain(python::text(value)?, span)),
        };
        Ok(Node { kind, span: span.clone() })
    }

    pub(super) fn deep(self: &Arc<Self>, node: &Node, mistakes: &mut Mistakes) -> Node {
        let kind = match &node.kind {
            Kind::List(items) => Kind::List(items.iter().map(|item| self.deep(item, mistakes)).collect()),
            Kind::Map(entries) => Kind::Map(
                entries.iter().map(|(key, value)| (key.clone(), self.deep(value, mistakes))).collect(),
            ),
            _ => match self.leaf(node) {
                Ok(node) => return node,
                Err(mistake) => {
                    mistakes.0.push(mistake);
                    Kind::Null
                }
            },
        };
        Node { kind, span: node.span.clone() }
    }
}

impl Values for Renderer {
    fn find(&self, name: &str) -> Option<Node> {
        self.top.get(name).or_else(|| self.layers.iter().rev().find_map(|layer| layer.get(name))).cloned()
    }

    fn magic(&self, name: &str) -> Option<Value> {
        self.magic.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.layers.iter().flat_map(|layer| layer.keys().cloned()).collect();
        names.extend(self.magic.keys().cloned());
        names.sort();
        names.dedup();
        names
    }

    /// Renders a value that another template refers to, once per scope.
    fn nested(self: Arc<Self>, node: &Node, path: &str) -> Result<Node, Mistake> {
        {
            let mut state = self.state();
            if let Some(done) = state.rendered.get(path) {
                return Ok(done.clone());
            }
            if state.stack.iter().any(|outer| outer == path) || state.stack.len() >= DEPTH {
                let chain = [state.stack.as_slice(), &[path.to_owned()]].concat().join(" -> ");
                return Err(Mistake {
                    span: node.span.clone(),
                    what: format!("template cycle: {chain}"),
                    hint: Some("write one of these values without a template".to_owned()),
                });
            }
            state.stack.push(path.to_owned());
        }
        let result = self.leaf(node);
        let mut state = self.state();
        state.stack.pop();
        if let Ok(done) = &result {
            state.rendered.insert(path.to_owned(), done.clone());
        }
        result
    }
}

/// Returns the expression if the text is only `{{ expression }}`. Its value keeps its type.
pub(super) fn single_expression(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let alone = !inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%");
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    alone.then(|| inner.strip_suffix('-').unwrap_or(inner).trim())
}

fn plain(text: String, span: &Span) -> Node {
    Node { kind: Kind::Text { text, templated: false }, span: span.clone() }
}
