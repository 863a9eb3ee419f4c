//! The variables of a template, and rendering with them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use minijinja::value::Value;

use super::engine::engine;
use super::error::mistake;
use super::observed::watch;
use super::renderer::{Renderer, single_expression};
use super::view::Values as _;
use apim_product::yaml::{Kind, Mistake, Mistakes, Node, Open, SourceFile, Span};

/// The variables of one host (and task), and the opener of secrets.
#[derive(Debug, Clone)]
pub struct Scope(Arc<Renderer>);

/// Additional variables for templates, such as `hostvars`.
#[derive(Debug, Clone)]
pub struct Magic(Arc<HashMap<String, Value>>);

/// A rendered template file.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The rendered text.
    pub text: String,
    /// Whether the text contains a secret.
    pub holds_secret: bool,
}

impl Scope {
    /// Returns a scope with these variables.
    #[must_use]
    pub fn new(variables: HashMap<String, Node>, open: Arc<dyn Open + Send + Sync>) -> Self {
        let layers = vec![Arc::new(variables)];
        let (top, magic) = (Arc::default(), Arc::default());
        Self(Arc::new(Renderer { layers, top, magic, open, state: Mutex::default() }))
    }

    fn changed(&self, change: impl FnOnce(&mut Renderer)) -> Self {
        let mut inner = Renderer {
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
        let (value, _) = watch(|| self.0.evaluate(expression));
        value.map(|value| truth(&value)).map_err(|error| mistake(&error, &condition.span))
    }

    /// Renders a template file's text.
    ///
    /// # Errors
    /// When the template is invalid, with its line.
    pub fn render_file(&self, name: &str, text: &str) -> Result<Rendered, Mistake> {
        let (result, holds_secret) = watch(|| engine().render_named_str(name, text, self.0.context()));
        result.map(|text| Rendered { text, holds_secret }).map_err(|error| {
            let file = Arc::new(SourceFile { name: name.to_owned(), text: text.to_owned() });
            let line = error.line().unwrap_or(1);
            let length =
                text.lines().nth(line.saturating_sub(1)).map_or(1, |line| line.chars().count().max(1));
            mistake(&error, &Span { file: Some(file), line, column: 1, length })
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
