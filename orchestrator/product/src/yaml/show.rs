//! Formats errors for a terminal: message, position, source line with a caret, hint.

use std::fmt;

use super::hide::may_hold_secret;
use super::mistake::{Mistake, Mistakes};
use super::node::Span;

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colours {
    /// Plain.
    #[default]
    Off,
    /// With ANSI colours.
    On,
}

impl Colours {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Off => text.to_owned(),
            Self::On => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// The severity of a message.
#[derive(Debug, Clone, Copy)]
enum Severity {
    Error,
    Warning,
}

/// Longer source lines are cut around the position.
const SHOWN_CHARACTERS: usize = 120;

impl Mistakes {
    /// Returns all errors for a terminal, ordered by file and line, without duplicates.
    #[must_use]
    pub fn render(&self, colours: Colours) -> String {
        let shown: Vec<String> = self.in_order().into_iter().map(|mistake| mistake.render(colours)).collect();
        shown.join("\n")
    }

    /// Returns all of them as warnings, ordered by file and line, without duplicates.
    #[must_use]
    pub fn render_as_warnings(&self, colours: Colours) -> String {
        let shown: Vec<String> = self
            .in_order()
            .into_iter()
            .map(|mistake| mistake.rendered_as(Severity::Warning, colours))
            .collect();
        shown.join("\n")
    }

    /// Returns the errors ordered by file (first occurrence) and position, without duplicates.
    #[must_use]
    pub fn in_order(&self) -> Vec<&Mistake> {
        let mut files: Vec<&str> = Vec::new();
        let mut kept: Vec<(usize, &Mistake)> = Vec::new();
        for mistake in &self.0 {
            let name = mistake.span.file.as_ref().map_or("", |file| file.name.as_str());
            let file = files.iter().position(|known| *known == name).unwrap_or_else(|| {
                files.push(name);
                files.len() - 1
            });
            let place = (mistake.span.line, mistake.span.column);
            let twice = |(other, at): &(usize, &Mistake)| {
                *other == file && (at.span.line, at.span.column) == place && at.what == mistake.what
            };
            if !kept.iter().any(twice) {
                kept.push((file, mistake));
            }
        }
        kept.sort_by_key(|(file, mistake)| (*file, mistake.span.line, mistake.span.column));
        kept.into_iter().map(|(_, mistake)| mistake).collect()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Colours::Off))
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) if self.line == 0 => write!(f, "from {}", file.name),
            Some(file) => write!(f, "{}:{}:{}", file.name, self.line, self.column),
            None => Ok(()),
        }
    }
}

impl Mistake {
    /// Returns the error for a terminal; every line ends in a newline.
    #[must_use]
    pub fn render(&self, colours: Colours) -> String {
        self.rendered_as(Severity::Error, colours)
    }

    fn rendered_as(&self, severity: Severity, colours: Colours) -> String {
        let (colour, word) = match severity {
            Severity::Error => ("1;31", "error"),
            Severity::Warning => ("1;33", "warning"),
        };
        let mut text =
            format!("{}: {}\n", colours.paint(colour, word), colours.paint("1", &printable(&self.what)));
        if self.span.file.is_some() {
            text.push_str(&format!(" {} {}\n", colours.paint("34", "-->"), self.span));
            text.push_str(&self.source(colours));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("{}: {}\n", colours.paint("1;32", "hint"), printable(hint)));
        }
        text
    }

    fn source(&self, colours: Colours) -> String {
        let Some(file) = &self.span.file else { return String::new() };
        let at = self.span.line.checked_sub(1);
        let Some(line) = at.and_then(|at| file.text.lines().nth(at)) else { return String::new() };
        let gutter = self.span.line.to_string();
        let empty = " ".repeat(gutter.len());
        let bar = colours.paint("34", "|");
        let number = colours.paint("34", &gutter);
        if may_hold_secret(&file.text, self.span.line) {
            return format!("{number} {bar} (line hidden: may contain a secret)\n");
        }
        let column = self.span.column.saturating_sub(1);
        let skipped = if column + 20 > SHOWN_CHARACTERS { column.saturating_sub(40) } else { 0 };
        let shown: String = line.chars().skip(skipped).take(SHOWN_CHARACTERS).collect();
        let length = self.span.length.clamp(1, shown.chars().count().saturating_sub(column - skipped).max(1));
        let under = format!("{}{}", " ".repeat(column - skipped), "^".repeat(length));
        let caret = colours.paint("1;31", &under);
        format!("{number} {bar} {}\n{empty} {bar} {caret}\n", printable(&shown))
    }
}

/// Replaces control characters, so that a file cannot control the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}
