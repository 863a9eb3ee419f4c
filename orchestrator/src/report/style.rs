//! Colours, formatting of numbers, and removal of control characters in host output.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

/// Applies colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    coloured: bool,
}

impl Style {
    /// Returns a style with or without colours.
    #[must_use]
    pub const fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    /// Returns whether colours are used.
    #[must_use]
    pub const fn is_coloured(self) -> bool {
        self.coloured
    }

    /// Returns the style without colours.
    #[must_use]
    pub const fn plain() -> Self {
        Self::new(false)
    }

    /// Success.
    #[must_use]
    pub fn good(self, text: impl Display) -> String {
        self.paint("32", text)
    }

    /// A change, pending or applied.
    #[must_use]
    pub fn change(self, text: impl Display) -> String {
        self.paint("33", text)
    }

    /// A failure.
    #[must_use]
    pub fn bad(self, text: impl Display) -> String {
        self.paint("31", text)
    }

    /// Emphasis, such as headings.
    #[must_use]
    pub fn strong(self, text: impl Display) -> String {
        self.paint("1", text)
    }

    /// Secondary text.
    #[must_use]
    pub fn faint(self, text: impl Display) -> String {
        self.paint("2", text)
    }

    /// The colour of item `number` in a sequence, such as the prefix of a log.
    #[must_use]
    pub fn tinted(self, number: usize, text: impl Display) -> String {
        const TINTS: [&str; 6] = ["36", "35", "34", "33", "32", "96"];
        self.paint(TINTS.get(number % TINTS.len()).copied().unwrap_or("36"), text)
    }

    fn paint(self, code: &str, text: impl Display) -> String {
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// Escapes control characters and bidirectional formatting; keeps line breaks and tabs.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_bad = |c: char| (c.is_control() && c != '\n' && c != '\t') || is_direction(c);
    if text.contains(is_bad) {
        let shown =
            text.chars().map(|c| if is_bad(c) { c.escape_default().to_string() } else { c.to_string() });
        Cow::Owned(shown.collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Bidirectional formatting characters, which can disguise the content of a line.
const fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Formats a duration: `0.4 s`, `12 s`, `3 min 20 s`.
#[must_use]
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Returns `n thing` or `n things`.
#[must_use]
pub fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// Formats a size in bytes: `512 MiB`, `7.8 GiB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}
