//! A picture that is drawn again in place, on standard output where that is a terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The picture.
pub struct Live {
    bar: ProgressBar,
    last: String,
}

impl Live {
    /// Returns a picture; `None` where standard output is no terminal that can draw.
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

    /// Draws `text` in the place of what was there.
    pub fn draw(&mut self, text: String) {
        self.bar.set_message(text.clone());
        self.bar.tick();
        self.last = text;
    }

    /// Leaves the last picture standing.
    pub fn end(self) {
        self.bar.finish_and_clear();
        // A terminal that is gone shows nothing any more.
        drop(super::say(&self.last));
    }
}
