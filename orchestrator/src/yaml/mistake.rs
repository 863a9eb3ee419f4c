//! What is wrong in a file that a person wrote: place, words, hint.

use super::node::Span;

/// One mistake.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// Where.
    pub span: Span,
    /// What is wrong, as one sentence fragment; never holds a secret.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// All mistakes found so far; reading goes on after each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// Notes a mistake.
    pub fn add(&mut self, span: &Span, what: impl Into<String>) {
        self.0.push(Mistake { span: span.clone(), what: what.into(), hint: None });
    }

    /// Notes a mistake and what to do about it.
    pub fn add_hint(&mut self, span: &Span, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Mistake { span: span.clone(), what: what.into(), hint: Some(hint.into()) });
    }
}

/// Returns the word of `known` nearest to `word`, when it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(word, k), k))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}
