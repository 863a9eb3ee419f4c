//! Errors in user-written files: position, message, hint.

use super::node::Span;

/// An error in a user-written file.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// The position.
    pub span: Span,
    /// The message, as one sentence fragment. Never contains a secret.
    pub what: String,
    /// How to fix it.
    pub hint: Option<String>,
}

/// All errors found so far. Reading continues after each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// Adds an error.
    pub fn add(&mut self, span: &Span, what: impl Into<String>) {
        self.0.push(Mistake { span: span.clone(), what: what.into(), hint: None });
    }

    /// Adds an error with a hint.
    pub fn add_hint(&mut self, span: &Span, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Mistake { span: span.clone(), what: what.into(), hint: Some(hint.into()) });
    }
}

/// Returns the word of `known` that is most similar to `word`, if it is a plausible typo.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(word, k), k))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}
