//! Text that is redrawn in place on standard output, if that is a terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A text area on the terminal that is redrawn in place.
pub struct Live {
    bar: ProgressBar,
    last: String,
}

impl Live {
    /// Returns `None` if standard output is not a terminal or is a dumb one.
    #[must_use]
    pub fn new() -> Option<Self> {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if !std::io::stdout().is_terminal() || is_dumb {
            return None;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        bar.set_style(
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        Some(Self { bar, last: String::new() })
    }

    /// Replaces the shown text.
    pub fn draw(&mut self, text: String) {
        self.bar.set_message(text.clone());
        self.bar.tick();
        self.last = text;
    }

    /// Stops redrawing; the last text remains visible.
    pub fn end(self) {
        self.bar.finish_and_clear();
        // Ignore errors of a closed terminal.
        drop(super::say(&self.last));
    }
}
