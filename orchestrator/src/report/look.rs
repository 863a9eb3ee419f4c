//! Output format, verbosity and colours.

use std::io::{self, IsTerminal as _};

use super::style::Style;

/// Output format, verbosity and colours.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// One JSON object per line on standard output instead of text.
    pub json: bool,
    /// 0: changes and failures; 1: also unchanged steps.
    pub verbosity: u8,
    /// Whether to show the diffs of text files.
    pub diff: bool,
    /// Whether standard error is a terminal that supports redrawing.
    pub live: bool,
    /// Colours on standard output.
    pub out: Style,
    /// Colours on standard error.
    pub err: Style,
}

impl Look {
    /// Detects colours and live output from the terminals. `NO_COLOR` and dumb terminals disable
    /// colours.
    #[must_use]
    pub fn detect(json: bool, verbosity: u8, diff: bool) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colours = !is_set("NO_COLOR") && !is_dumb && !json;
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let live = err && !is_dumb && !json && !is_set("CI");
        Self { json, verbosity, diff, live, out: Style::new(colours && out), err: Style::new(colours && err) }
    }
}
