//! All output during a run: progress on standard error, data (recap, changes, JSON) on standard
//! output.
//!
//! `show` forwards the events of a run to one of three faces: `terminal` (a line per host), `lines`
//! (no terminal) or `json`. The final report is rendered by `recap`, `failure` and `changes`, which
//! return text and print nothing.

use std::io;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use apim_rollout::engine::RunResult;
use apim_rollout::engine::event::Event;
use apim_rollout::plan::model::Plan;
use apim_rollout::probe::Sum;

pub mod alike;
pub mod changes;
pub mod differences;
mod face;
pub mod failure;
mod fetch;
pub mod fold;
pub mod history;
mod json;
mod lines;
pub mod live;
mod look;
mod node_titles;
mod output;
pub mod probes;
pub mod recap;
mod releases;
pub mod style;
pub mod table;
mod terminal;

#[cfg(test)]
mod tests;

pub use fetch::{Fetching, fetching};
pub use look::Look;
pub use node_titles::NodeTitles;
pub use output::{remark, say};
pub use style::Style;

use face::Face;

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
pub fn conclude(
    plan: &Plan,
    result: &RunResult,
    probed: &[Sum],
    titles: &NodeTitles,
    look: &Look,
) -> io::Result<()> {
    if look.json {
        return say(&json::recap(plan, result, probed, titles));
    }
    let failures = failure::text(plan, result, titles, look.out);
    let releases = releases::text(plan, result, titles, look.out);
    let recap = recap::text(plan, result, probed, titles, look.out);
    say(&format!("{failures}{releases}{recap}"))
}
