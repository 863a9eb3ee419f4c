//! Values with places.

use std::sync::Arc;

use apim_protocol::value::Secret;

use super::mistake::Mistake;

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

    /// Returns the place of a value given by a flag such as `-e`: shown as `from -e`.
    #[must_use]
    pub fn flag(name: &str) -> Self {
        let file = SourceFile { name: name.to_owned(), text: String::new() };
        Self { file: Some(Arc::new(file)), line: 0, column: 0, length: 0 }
    }

    /// Returns the file's name, if this place is in a file.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.file.as_ref().filter(|_| self.line > 0).map(|file| file.name.as_str())
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
    /// A text that must not be shown: an opened [`Sealed`] one, or one that a template made from such a text.
    Secret(Secret),
    /// A secret that is not opened yet.
    Sealed(Sealed),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// Where a secret is to be had; parsing opens none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed {
    /// `!vault`: a text in the format of Ansible Vault.
    Vault(String),
    /// `!env NAME`: an environment variable of this program.
    Env(String),
    /// `!file PATH`: the text of a file; a relative path is meant from the folder of the file that names it.
    File(String),
}

/// Opens sealed secrets; the one who knows passwords, the environment and files implements it.
pub trait Open {
    /// Returns the secret that stands at `span`.
    ///
    /// # Errors
    /// When it cannot be had, as a mistake at that place.
    fn open(&self, sealed: &Sealed, span: &Span) -> Result<Secret, Mistake>;
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

    /// Returns the entries, if this is a map.
    #[must_use]
    pub fn entries(&self) -> Option<&[(Key, Self)]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Returns the items, if this is a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the text, if this is one (numbers as they were written).
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        match &self.kind {
            Kind::Text { text, .. } | Kind::Float(_, text) => Some(text.clone()),
            Kind::Int(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Returns how many values there are in this one, itself included.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.kind {
            Kind::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Kind::Map(entries) => 1 + entries.iter().map(|(_, value)| value.count()).sum::<usize>(),
            Kind::Null
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(..)
            | Kind::Text { .. }
            | Kind::Secret(_)
            | Kind::Sealed(_) => 1,
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
            Kind::Secret(_) | Kind::Sealed(_) => "a secret",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}
