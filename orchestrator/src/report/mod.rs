//! All output during a run: progress on standard error, data (recap, changes, JSON) on standard
//! output.
//!
//! `show` forwards the events of a run to one of three faces: `terminal` (a line per host), `lines`
//! (no terminal) or `json`. The final report is rendered by `recap`, `failure` and `changes`, which
//! return text and print nothing.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use apim_rollout::engine::RunResult;
use apim_rollout::engine::event::Event;
use apim_rollout::plan::model::Plan;
use apim_rollout::probing::Sum;

pub mod alike;
pub mod changes;
pub mod differences;
pub mod failure;
mod fetch;
pub mod fold;
mod json;
mod lines;
pub mod live;
pub mod probes;
pub mod recap;
mod releases;
pub mod style;
pub mod table;
mod terminal;

#[cfg(test)]
mod tests;

pub use fetch::{Fetching, fetching};
pub use style::Style;

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

/// A renderer of run events.
trait Face: Send {
    fn event(&mut self, event: &Event);
    fn end(&mut self) {}
}

/// Shows the events of a run until the channel is closed.
#[must_use]
pub fn show(plan: Arc<Plan>, look: Look, mut events: mpsc::UnboundedReceiver<Event>) -> JoinHandle<()> {
    let mut face: Box<dyn Face> = if look.json {
        Box::new(json::Json::new(io::stdout()))
    } else if look.live {
        Box::new(terminal::Terminal::new(look))
    } else {
        Box::new(lines::Lines::new(io::stderr(), look))
    };
    tokio::spawn(async move {
        // Keep the plan alive while events arrive.
        let _plan = plan;
        while let Some(event) = events.recv().await {
            face.event(&event);
        }
        face.end();
    })
}

/// Prints failures, release changes and the recap with the probe results.
///
/// # Errors
/// Standard output cannot be written. A closed pipe is not an error.
pub fn conclude(plan: &Plan, result: &RunResult, probed: &[Sum], look: &Look) -> io::Result<()> {
    if look.json {
        return say(&json::recap(plan, result, probed));
    }
    let failures = failure::text(plan, result, look.out);
    let releases = releases::text(plan, result, look.out);
    let recap = recap::text(plan, result, probed, look.out);
    say(&format!("{failures}{releases}{recap}"))
}

/// Prints `text` on standard output.
///
/// # Errors
/// Standard output cannot be written. A closed pipe is not an error.
pub fn say(text: &str) -> io::Result<()> {
    quietly(io::stdout().lock(), text)
}

/// Prints `text` on standard error; write errors are ignored.
pub fn remark(text: &str) {
    // An error on standard error cannot be reported.
    drop(quietly(io::stderr().lock(), text));
}

fn quietly(mut out: impl Write, text: &str) -> io::Result<()> {
    let written = out.write_all(text.as_bytes()).and_then(|()| {
        if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") }?;
        out.flush()
    });
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
