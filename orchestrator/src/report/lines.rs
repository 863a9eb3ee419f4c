//! Progress without a terminal: plain lines such as `[ 12.3s] gw1  changed  deployment.toml`.

use std::io::Write;
use std::time::Instant;

use apim_protocol::outcome::Outcome;

use super::face::Face;
use super::look::Look;
use super::style::{count, harmless, time};
use apim_rollout::engine::event::{Event, Level};
use apim_transport::failure::one_line;

/// Writes events as lines.
pub(super) struct Lines<W> {
    out: W,
    begun: Instant,
    look: Look,
    /// Width of the longest host name.
    width: usize,
    differing: usize,
}

impl<W: Write + Send> Lines<W> {
    pub(super) fn new(out: W, look: Look) -> Self {
        Self { out, begun: Instant::now(), look, width: 0, differing: 0 }
    }

    fn line(&mut self, text: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        // A closed pipe is not an error.
        drop(writeln!(self.out, "[{seconds:6.1}s] {}", harmless(text)));
    }

    fn host(&mut self, host: &str, text: &str) {
        let width = self.width;
        self.line(&format!("{host:width$}  {text}"));
    }
}

impl<W: Write + Send> Face for Lines<W> {
    fn event(&mut self, event: &Event) {
        if let Event::RunStarted { hosts, .. } = event {
            self.width = hosts.iter().map(|host| host.0.chars().count()).max().unwrap_or(0).min(40);
        }
        let look = self.look;
        for (host, text) in words(event, &look, &mut self.differing) {
            match host {
                Some(host) => self.host(&host, &text),
                None => self.line(&text),
            }
        }
    }
}

/// Returns the lines for `event`, each with its host.
pub(super) fn words(event: &Event, look: &Look, differing: &mut usize) -> Vec<(Option<String>, String)> {
    let style = look.err;
    let verbose = look.verbosity > 0;
    let (host, text) = match event {
        Event::RunStarted { verb, hosts, steps } => {
            (None, format!("{verb}: {}, {}", count(hosts.len(), "host"), count(*steps, "step")))
        }
        Event::Connected(host, facts) if verbose => {
            let text = format!("connected: {} {}, {}", facts.os, facts.os_version, facts.architecture);
            (Some(host), text)
        }
        Event::Unreachable { host, failure } => {
            let why = one_line(failure);
            let hint = failure.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            (Some(host), format!("{}  {why}{hint}", style.bad("unreachable")))
        }
        Event::Reconnecting(host, why) => (Some(host), format!("connection lost, reconnecting: {why}")),
        Event::Surveyed(host, differ) => {
            *differing += differ;
            if !verbose {
                return Vec::new();
            }
            (Some(host), format!("{} pending", count(*differ, "change")))
        }
        Event::StageStarted(index, title) => (None, style.strong(format!("stage {}: {title}", index + 1))),
        Event::StageFinished(index, took) if verbose => {
            (None, format!("stage {} took {}", index + 1, time(*took)))
        }
        Event::StepStarted(host, _, title) if verbose => (Some(host), format!("running  {title}")),
        Event::WaitingForLeave(host, _, what) => (Some(host), format!("waiting  {what}")),
        Event::StepFinished(host, _, title, outcome, took) => {
            let Some(word) = word(outcome, look) else { return Vec::new() };
            let why = match outcome {
                Outcome::Failed(failure) => format!(": {}", failure.what),
                Outcome::Skipped(why) => format!(": {why}"),
                Outcome::WouldChange(difference) | Outcome::Changed(difference) if verbose => {
                    format!(": {}", difference.statements().join("; "))
                }
                Outcome::Ok | Outcome::Observed(_) | Outcome::WouldChange(_) | Outcome::Changed(_) => {
                    String::new()
                }
            };
            let took = if took.as_secs() >= 2 { format!(" ({})", time(*took)) } else { String::new() };
            (Some(host), format!("{word}  {title}{took}{why}"))
        }
        Event::ProbeFailed { url, why, doing } => {
            (None, style.bad(format!("probe {url} failed: {why} (during: {doing})")))
        }
        Event::ProbeAnswers { url, gap, failed } => {
            let failed = format!("{failed} failed");
            (None, format!("probe {url} answers again after {}: {failed}", time(*gap)))
        }
        Event::Note(Level::Info, text) => (None, text.clone()),
        Event::Note(Level::Warning, text) => (None, style.change(format!("warning: {text}"))),
        Event::Interrupted => (
            None,
            "stopping: steps in progress finish, no new steps start; interrupt again to exit immediately"
                .to_owned(),
        ),
        Event::RunFinished(took) if verbose => (None, format!("took {}", time(*took))),
        Event::Connecting(_)
        | Event::Connected(..)
        | Event::Surveying(..)
        | Event::StageFinished(..)
        | Event::StepStarted(..)
        | Event::StepProgress(..)
        | Event::Sending(..)
        | Event::LeaveDecided(..)
        | Event::Probed { .. }
        | Event::RunFinished(_) => return Vec::new(),
    };
    vec![(host.map(|host| host.0.clone()), text)]
}

/// Returns the padded label of an outcome; `None` if it is not shown.
fn word(outcome: &Outcome, look: &Look) -> Option<String> {
    let style = look.err;
    let padded = |word: &str| format!("{word:7}");
    match outcome {
        Outcome::Ok | Outcome::Observed(_) => (look.verbosity > 0).then(|| style.good(padded("ok"))),
        Outcome::Skipped(_) => (look.verbosity > 0).then(|| style.faint(padded("skipped"))),
        Outcome::WouldChange(_) => Some(style.change(padded("differs"))),
        Outcome::Changed(_) => Some(style.change(padded("changed"))),
        Outcome::Failed(_) => Some(style.bad(padded("failed"))),
    }
}
