//! The variables of a template, and rendering with them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::engine::{NO_LOOKUP, engine};
use super::named::{hide, hide_named};
use super::view::{Variables, View};
use apim_product::yaml::{Key, Kind, Mistake, Mistakes, Node, Open, Span, nearest};

/// Maximum nesting depth of templates in variables.
const DEPTH: usize = 40;

/// The variables of one host (and task), and the opener of secrets.
#[derive(Debug, Clone)]
pub struct Scope(Arc<Inner>);

/// Additional variables for templates, such as `hostvars`.
#[derive(Debug, Clone)]
pub struct Magic(Arc<HashMap<String, Value>>);

pub(super) struct Inner {
    layers: Vec<Arc<HashMap<String, Node>>>,
    /// Overrides all layers, including later ones (`-e`).
    top: Arc<HashMap<String, Node>>,
    magic: Arc<HashMap<String, Value>>,
    open: Arc<dyn Open + Send + Sync>,
    state: Mutex<State>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    /// Paths of the variables being rendered, outermost first.
    stack: Vec<String>,
    rendered: HashMap<String, Node>,
}

/// Observations of the current rendering, across the variables of all hosts.
#[derive(Default)]
struct Observed {
    /// Whether a secret was used.
    secret: bool,
    /// The last undefined name, and the known names.
    missing: Option<(String, Vec<String>)>,
    /// The first error in a variable that was used.
    mistake: Option<Mistake>,
}

thread_local! {
    /// Rendering never changes threads.
    static OBSERVED: RefCell<Observed> = RefCell::default();
}

fn observed<T>(work: impl FnOnce(&mut Observed) -> T) -> T {
    OBSERVED.with_borrow_mut(work)
}

/// A rendered template file.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The rendered text.
    pub text: String,
    /// Whether the text contains a secret.
    pub holds_secret: bool,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, name: &str) -> Option<Node> {
        self.top.get(name).or_else(|| self.layers.iter().rev().find_map(|layer| layer.get(name))).cloned()
    }

    pub(super) fn magic(&self, name: &str) -> Option<Value> {
        self.magic.get(name).cloned()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.layers.iter().flat_map(|layer| layer.keys().cloned()).collect();
        names.extend(self.magic.keys().cloned());
        names.sort();
        names.dedup();
        names
    }

    pub(super) fn note_missing(&self, name: &str, known: Vec<String>) {
        observed(|observed| observed.missing = Some((name.to_owned(), known)));
    }

    pub(super) fn note_mistake(&self, mistake: Mistake) {
        observed(|observed| {
            observed.mistake.get_or_insert(mistake);
        });
    }

    pub(super) fn touch_secret(&self) {
        observed(|observed| observed.secret = true);
    }

    /// Renders a value that another template refers to, once per scope.
    pub(super) fn nested(self: &Arc<Self>, node: &Node, path: &str) -> Result<Node, Mistake> {
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
        let (result, holds_secret) = self.watch(|inner| match single_expression(text) {
            Some(expression) => inner.evaluate(expression).and_then(|value| {
                let node = inner.take(&value, span)?;
                if value.downcast_object_ref::<View>().is_some() {
                    // Each part is marked as secret on its own.
                    observed(|observed| observed.secret = false);
                }
                Ok(node)
            }),
            None => engine().render_str(text, inner.context()).map(|text| plain(text, span)),
        });
        let mut node = result.map_err(|error| Self::mistake(&error, span))?;
        if holds_secret {
            hide(&mut node);
        }
        Ok(node)
    }

    /// Runs `work` and returns whether it used a secret. The use also counts for the outer
    /// rendering.
    fn watch<T>(self: &Arc<Self>, work: impl FnOnce(&Arc<Self>) -> T) -> (T, bool) {
        let before = observed(|observed| {
            observed.missing = None;
            std::mem::replace(&mut observed.secret, false)
        });
        let result = work(self);
        let touched = observed(|observed| {
            let touched = observed.secret;
            observed.secret |= before;
            touched
        });
        (result, touched)
    }

    fn context(self: &Arc<Self>) -> Value {
        Value::from_object(Variables(Arc::clone(self)))
    }

    fn evaluate(self: &Arc<Self>, expression: &str) -> Result<Value, Error> {
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
                self.note_mistake(mistake);
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
            _ => return Ok(plain(super::python::text(value)?, span)),
        };
        Ok(Node { kind, span: span.clone() })
    }

    fn deep(self: &Arc<Self>, node: &Node, mistakes: &mut Mistakes) -> Node {
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

    fn mistake(error: &Error, span: &Span) -> Mistake {
        let Observed { missing, mistake, secret } = observed(std::mem::take);
        if let Some(mistake) = mistake {
            return mistake;
        }
        let at = |what: String, hint: Option<String>| Mistake { span: span.clone(), what, hint };
        let detail = error.detail().unwrap_or_default();
        match (error.kind(), missing) {
            (ErrorKind::UndefinedError, Some((name, known))) => {
                let is_fact = name.starts_with("ansible_");
                let near = nearest(&name, known.iter().map(String::as_str))
                    .filter(|near| !is_fact || strsim::damerau_levenshtein(&name, near) <= 2);
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if is_fact => {
                        "facts of hosts are not available in templates; set the variable in the inventory"
                            .to_owned()
                    }
                    None => "set it in the inventory, in a play's `vars`, or with -e".to_owned(),
                };
                at(format!("`{name}` is not defined"), Some(hint))
            }
            (ErrorKind::UndefinedError, None) => at("undefined value".to_owned(), None),
            (ErrorKind::OutOfFuel, _) => {
                at("the template exceeds the step limit".to_owned(), Some("check its loops".to_owned()))
            }
            (ErrorKind::SyntaxError, _) => at(format!("invalid template: {detail}"), None),
            (ErrorKind::InvalidOperation, _) if detail == NO_LOOKUP => {
                at(detail.to_owned(), Some("write the whole value as `!env NAME` or `!file PATH`".to_owned()))
            }
            (ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction, _) => at(
                format!("unsupported in templates: {detail}"),
                Some("see docs/playbooks.md for the supported filters".to_owned()),
            ),
            // The engine's message may contain the value.
            (kind, _) if secret => {
                at(format!("template error: {kind} (details hidden: the template uses a secret)"), None)
            }
            (kind, _) if detail.is_empty() => at(format!("template error: {kind}"), None),
            (kind, _) => at(format!("template error: {kind}: {detail}"), None),
        }
    }
}

impl Scope {
    /// Returns a scope with these variables.
    #[must_use]
    pub fn new(variables: HashMap<String, Node>, open: Arc<dyn Open + Send + Sync>) -> Self {
        let layers = vec![Arc::new(variables)];
        let (top, magic) = (Arc::default(), Arc::default());
        Self(Arc::new(Inner { layers, top, magic, open, state: Mutex::default() }))
    }

    fn changed(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner {
            layers: self.0.layers.clone(),
            top: Arc::clone(&self.0.top),
            magic: Arc::clone(&self.0.magic),
            open: Arc::clone(&self.0.open),
            state: Mutex::default(),
        };
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// Returns a scope in which `variables` override those of this one.
    #[must_use]
    pub fn with(&self, variables: HashMap<String, Node>) -> Self {
        self.changed(|inner| inner.layers.push(Arc::new(variables)))
    }

    /// Returns a scope in which `variables` override all others, including layers that are added
    /// later.
    #[must_use]
    pub fn with_top(&self, variables: Arc<HashMap<String, Node>>) -> Self {
        self.changed(|inner| inner.top = variables)
    }

    /// Returns the variables of `others`, available as `key['name'].…` (Ansible's `hostvars`).
    #[must_use]
    pub fn others(key: &str, others: &[(String, Self)]) -> Magic {
        let views = others.iter().map(|(name, scope)| (name.clone(), scope.0.context()));
        Magic(Arc::new(HashMap::from([(key.to_owned(), Value::from_pairs(views))])))
    }

    /// Returns a scope that includes `magic`.
    #[must_use]
    pub fn with_magic(&self, magic: &Magic) -> Self {
        self.changed(|inner| inner.magic = Arc::clone(&magic.0))
    }

    /// Returns the variable's value, rendered, or `None` if it is not set.
    ///
    /// # Errors
    /// When the value cannot be rendered.
    pub fn variable(&self, name: &str) -> Option<Result<Node, Mistakes>> {
        self.0.find(name).map(|node| self.render(&node))
    }

    /// Returns the value with all templates rendered and all secrets opened.
    ///
    /// # Errors
    /// All parts that cannot be rendered or opened.
    pub fn render(&self, node: &Node) -> Result<Node, Mistakes> {
        let mut mistakes = Mistakes::default();
        let rendered = self.0.deep(node, &mut mistakes);
        if mistakes.0.is_empty() { Ok(rendered) } else { Err(mistakes) }
    }

    /// Evaluates a condition such as `when: apim.version is defined`.
    ///
    /// # Errors
    /// When the expression is invalid or uses an undefined variable.
    pub fn holds(&self, condition: &Node) -> Result<bool, Mistake> {
        let expression = match &condition.kind {
            Kind::Bool(truth) => return Ok(*truth),
            Kind::Text { text, .. } => single_expression(text).unwrap_or(text),
            _ => {
                let what = format!("a condition must be an expression, not {}", condition.describe());
                return Err(Mistake { span: condition.span.clone(), what, hint: None });
            }
        };
        let (value, _) = self.0.watch(|inner| inner.evaluate(expression));
        value.map(|value| truth(&value)).map_err(|error| Inner::mistake(&error, &condition.span))
    }

    /// Renders a template file's text.
    ///
    /// # Errors
    /// When the template is invalid, with its line.
    pub fn render_file(&self, name: &str, text: &str) -> Result<Rendered, Mistake> {
        let (result, holds_secret) =
            self.0.watch(|inner| engine().render_named_str(name, text, inner.context()));
        result.map(|text| Rendered { text, holds_secret }).map_err(|error| {
            let file =
                Arc::new(apim_product::yaml::SourceFile { name: name.to_owned(), text: text.to_owned() });
            let line = error.line().unwrap_or(1);
            let length =
                text.lines().nth(line.saturating_sub(1)).map_or(1, |line| line.chars().count().max(1));
            Inner::mistake(&error, &Span { file: Some(file), line, column: 1, length })
        })
    }
}

/// Returns the truth of a condition. Texts such as `no` are false, as in Ansible.
fn truth(value: &Value) -> bool {
    match value.as_str() {
        Some(text) => {
            !matches!(text.to_ascii_lowercase().as_str(), "" | "no" | "false" | "off" | "0" | "n" | "f")
        }
        None => value.is_true(),
    }
}

/// Returns the expression if the text is only `{{ expression }}`. Its value keeps its type.
fn single_expression(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let alone = !inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%");
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    alone.then(|| inner.strip_suffix('-').unwrap_or(inner).trim())
}

fn plain(text: String, span: &Span) -> Node {
    Node { kind: Kind::Text { text, templated: false }, span: span.clone() }
}
