//! Values with places.

use std::sync::Arc;

use apim_agent::value::Secret;

/// A file's name and text, kept for showing mistakes.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// As the user named it.
    pub name: String,
    /// Its whole text.
    pub text: String,
}

/// A place in a file: where a value or key begins, and how many characters of that line to underline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The file; `None` for values that came from elsewhere (`-e`, built in).
    pub file: Option<Arc<SourceFile>>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// At least 1.
    pub length: usize,
}

impl Span {
    /// Returns a place that is no place (values made by the program or given by a flag).
    #[must_use]
    pub const fn nowhere() -> Self {
        Self { file: None, line: 0, column: 0, length: 0 }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub kind: Kind,
    /// Its place.
    pub span: Span,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number, with the text it was written as (`4.10` is not 4.1).
    Float(f64, String),
    /// A text. `templated` texts may hold `{{ … }}` still to be rendered; `!unsafe` ones never are.
    Text {
        /// The text.
        text: String,
        /// Whether it is a template.
        templated: bool,
    },
    /// A text that must not be shown (`!vault`, `!env`, `!file`).
    Secret(Secret),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A map's key and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The key as text.
    pub text: String,
    /// Its place.
    pub span: Span,
}

impl Node {
    /// Returns the value under `key` if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Says what kind of value this is, for messages: `a text`, `a list`, …
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "a whole number",
            Kind::Float(..) => "a number",
            Kind::Text { .. } => "a text",
            Kind::Secret(_) => "a secret",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}
