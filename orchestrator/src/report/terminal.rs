//! Progress on a terminal: one line per host with step and transfer, and a line of totals below.
//! Changes and failures scroll above.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use apim_protocol::message::StepId;
use apim_protocol::outcome::Outcome;

use super::face::Face;
use super::lines;
use super::look::Look;
use super::style::{count, harmless, time};
use apim_rollout::engine::event::Event;
use apim_transport::host::HostName;

/// With more hosts, only the totals are shown.
const MOST_LINES: usize = 24;

/// Draws events on a terminal.
pub(super) struct Terminal {
    look: Look,
    all: MultiProgress,
    hosts: HashMap<HostName, Row>,
    has_rows: bool,
    totals: ProgressBar,
    width: usize,
    stage: String,
    steps: usize,
    finished: usize,
    changed: usize,
    failed: usize,
    working: usize,
    differing: usize,
    /// Probes: sent, failed.
    probed: Option<(u64, u64)>,
    begun: Instant,
}

struct Row {
    bar: ProgressBar,
    step: String,
    transfer: Option<Transfer>,
    is_working: bool,
}

struct Transfer {
    step: StepId,
    begun: Instant,
    from: u64,
}

impl Terminal {
    pub(super) fn new(look: Look) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(12));
        let totals = all.add(ProgressBar::new_spinner().with_style(plain("{spinner} {msg}")));
        totals.enable_steady_tick(Duration::from_millis(120));
        Self {
            look,
            all,
            hosts: HashMap::new(),
            has_rows: true,
            totals,
            width: 0,
            stage: "connecting".to_owned(),
            steps: 0,
            finished: 0,
            changed: 0,
            failed: 0,
            working: 0,
            differing: 0,
            probed: None,
            begun: Instant::now(),
        }
    }

    fn row(&mut self, host: &HostName) -> &mut Row {
        let (all, totals, has_rows) = (&self.all, &self.totals, self.has_rows);
        self.hosts.entry(host.clone()).or_insert_with(|| {
            let bar = if has_rows {
                all.insert_before(totals, ProgressBar::new_spinner().with_style(plain("  {wide_msg}")))
            } else {
                ProgressBar::hidden()
            };
            Row { bar, step: String::new(), transfer: None, is_working: false }
        })
    }

    fn set(&mut self, host: &HostName, text: &str) {
        let (width, style) = (self.width, self.look.err);
        let text = format!("{}  {}", style.strong(format!("{:width$}", host.0)), harmless(text));
        self.row(host).bar.set_message(text);
    }

    fn step_of(&mut self, host: &HostName) -> String {
        self.row(host).step.clone()
    }

    fn totals(&mut self) {
        let style = self.look.err;
        let mut text = format!("{}  {}/{} steps", self.stage, self.finished, self.steps);
        if self.changed > 0 {
            text.push_str(&style.change(format!("  {} changed", self.changed)));
        }
        if self.failed > 0 {
            text.push_str(&style.bad(format!("  {} failed", self.failed)));
        }
        if !self.has_rows {
            text.push_str(&format!("  {} hosts in progress", self.working));
        }
        if let Some((sent, failed)) = self.probed {
            text.push_str(&format!("  {sent} probes"));
            if failed > 0 {
                text.push_str(&style.bad(format!(", {failed} failed")));
            }
        }
        text.push_str(&style.faint(format!("  {}", time(self.begun.elapsed()))));
        self.totals.set_message(text);
    }

    fn is_working(&mut self, host: &HostName, is_working: bool) {
        let was_working = std::mem::replace(&mut self.row(host).is_working, is_working);
        match (was_working, is_working) {
            (false, true) => self.working += 1,
            (true, false) => self.working = self.working.saturating_sub(1),
            _ => {}
        }
    }

    fn sending(&mut self, host: &HostName, step: StepId, done: u64, total: u64) {
        let row = self.row(host);
        if row.transfer.as_ref().is_none_or(|transfer| transfer.step != step) {
            row.transfer = Some(Transfer { step, begun: Instant::now(), from: done });
        }
        let Some(transfer) = &row.transfer else { return };
        let seconds = transfer.begun.elapsed().as_secs_f64().max(0.001);
        let rate = (done.saturating_sub(transfer.from)) as f64 / seconds;
        let text = format!(
            "{}  {} of {}, {}/s",
            row.step,
            HumanBytes(done),
            HumanBytes(total),
            HumanBytes(rate as u64)
        );
        self.set(host, &text);
    }

    fn draw(&mut self, event: &Event) {
        match event {
            Event::RunStarted { hosts, steps, .. } => {
                self.steps = *steps;
                self.width = hosts.iter().map(|host| host.0.chars().count()).max().unwrap_or(0).min(40);
                self.has_rows = hosts.len() <= MOST_LINES;
            }
            Event::Connecting(host) => self.set(host, "connecting"),
            Event::Connected(host, _) => self.set(host, "connected"),
            Event::Reconnecting(host, _) => self.set(host, "connection lost, reconnecting"),
            Event::Unreachable { host, .. } => {
                self.is_working(host, false);
                let text = self.look.err.bad("unreachable");
                self.row(host).step.clone_from(&text);
                self.set_raw(host, &text);
            }
            Event::Surveying(host, steps) => {
                self.stage = "checking".to_owned();
                self.set(host, &format!("checking {}", count(*steps, "step")));
            }
            Event::Surveyed(host, 0) => self.set(host, "up to date"),
            Event::Surveyed(host, differ) => self.set(host, &format!("{} pending", count(*differ, "step"))),
            Event::StageStarted(index, title) => {
                self.stage = format!("stage {}: {}", index + 1, harmless(title))
            }
            Event::StepStarted(host, _, title) => {
                self.is_working(host, true);
                let row = self.row(host);
                row.step.clone_from(title);
                row.transfer = None;
                self.set(host, title);
            }
            Event::StepProgress(host, _, what, done, total) => {
                let step = self.step_of(host);
                let share = if *total > 0 { format!(" {} %", done * 100 / total) } else { String::new() };
                self.set(host, &format!("{step}: {what}{share}"));
            }
            Event::Sending(host, step, done, total) => self.sending(host, *step, *done, *total),
            Event::WaitingForLeave(host, _, what) => self.set(host, what),
            Event::LeaveDecided(host, _) => {
                let step = self.step_of(host);
                self.set(host, &step);
            }
            Event::StepFinished(host, _, title, outcome, _) => {
                self.is_working(host, false);
                self.finished += 1;
                match outcome {
                    Outcome::Changed(_) | Outcome::WouldChange(_) => self.changed += 1,
                    Outcome::Failed(_) => self.failed += 1,
                    Outcome::Ok | Outcome::Observed(_) | Outcome::Skipped(_) => {}
                }
                if outcome.is_failure() {
                    let text = self.look.err.bad(format!("failed: {}", harmless(title)));
                    self.set_raw(host, &text);
                } else {
                    self.set(host, "");
                }
            }
            Event::Probed { sent, failed } => self.probed = Some((*sent, *failed)),
            Event::StageFinished(..)
            | Event::ProbeFailed { .. }
            | Event::ProbeAnswers { .. }
            | Event::Note(..)
            | Event::Interrupted
            | Event::RunFinished(_) => {}
        }
    }

    /// Like `set`, for text that already contains colours.
    fn set_raw(&mut self, host: &HostName, text: &str) {
        let (width, style) = (self.width, self.look.err);
        let text = format!("{}  {text}", style.strong(format!("{:width$}", host.0)));
        self.row(host).bar.set_message(text);
    }
}

impl Face for Terminal {
    fn event(&mut self, event: &Event) {
        for (host, text) in lines::words(event, &self.look, &mut self.differing) {
            let line = match host {
                Some(host) => {
                    let width = self.width;
                    format!("{host:width$}  {text}")
                }
                None => text,
            };
            // Ignore errors of a closed terminal.
            drop(self.all.println(line));
        }
        self.draw(event);
        self.totals();
    }

    fn end(&mut self) {
        self.totals.finish_and_clear();
        for row in self.hosts.values() {
            row.bar.finish_and_clear();
        }
    }
}

fn plain(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
