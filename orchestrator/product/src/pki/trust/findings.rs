//! What the checks found.

use crate::yaml::{Mistake, Mistakes, Span};

/// Errors and notes.
#[derive(Debug, Default)]
pub struct Findings {
    /// Errors that must be fixed before a deployment.
    pub mistakes: Mistakes,
    /// Notes for the operator.
    pub notes: Vec<String>,
}

impl Findings {
    /// Adds a note, without duplicates.
    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds an error, without duplicates.
    pub(super) fn mistake(&mut self, span: &Span, what: String, hint: String) {
        let mistake = Mistake { span: span.clone(), what, hint: Some(hint) };
        if !self.mistakes.0.contains(&mistake) {
            self.mistakes.0.push(mistake);
        }
    }
}
