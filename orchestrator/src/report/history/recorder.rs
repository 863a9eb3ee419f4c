//! Records the events of a run as they happen, so that the record of a killed run is complete up to
//! that point. Reports which unfinished run is resumed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};

use apim_protocol::chain;
use apim_protocol::outcome::Outcome;
use apim_protocol::value::Sha256;

use super::book::{Book, End, Record, now};
use super::entry::{Begun, Ended, Entry, Line, Planned};
use apim_rollout::engine::event::{Event, Level};
use apim_transport::failure::one_line;

/// Maximum length of the text of a failure or change, in characters.
const TEXT: usize = 500;
/// Maximum number of texts per step.
const TEXTS: usize = 20;

/// Writes the record of one run.
#[derive(Debug)]
pub struct Recorder {
    book: Book,
    run: String,
    file: File,
    last: Sha256,
    former: Option<Former>,
    survey: Survey,
    /// The first write error; nothing is written after it.
    failure: Option<io::Error>,
}

/// Results of checking the hosts, so far.
#[derive(Debug, Default)]
struct Survey {
    hosts: BTreeSet<String>,
    announced: usize,
    steps: usize,
    differ: usize,
}

/// The previous run of the same verb and playbook on the same inventory, if it did not succeed.
#[derive(Debug, Clone, PartialEq)]
pub struct Former {
    /// Id of the run.
    pub run: String,
    /// State, age and operator of the run, such as `failed 5 min ago, started by anna@laptop`.
    pub words: String,
    /// The stage it reached, such as `in stage 4 of 9 (start gateways)`.
    pub at: Option<String>,
}

impl Former {
    /// Returns the run that `begun` resumes, if the previous run did not succeed. Runs that were
    /// refused before any change are ignored.
    #[must_use]
    pub fn of(book: &Book, begun: &Begun) -> Option<Self> {
        let recorded = book.read().ok()?;
        let is_kin = |one: &&Record| {
            one.inventory == begun.inventory && one.verb == begun.verb && one.playbook == begun.playbook
        };
        let counts =
            |one: &&Record| one.end != End::Running && !matches!(one.end, End::Ended { code: 2 | 4, .. });
        let last = recorded.runs.iter().rev().filter(is_kin).find(counts)?;
        let how = match last.end {
            End::Ended { code: 0, .. } | End::Running => return None,
            End::Ended { code: 130, .. } => "interrupted",
            End::Ended { .. } => "failed",
            End::NotEnded => "killed",
        };
        let lines = book.lines(&last.run).unwrap_or_default();
        if lines.last().is_some_and(is_done) {
            return None;
        }
        let when = lines.last().map_or(last.at.as_str(), |line| line.at.as_str());
        let ago = ago(when).map(|ago| format!(" {ago} ago")).unwrap_or_default();
        Some(Self {
            run: last.run.clone(),
            words: format!("{how}{ago}, started by {}", last.operator),
            at: place(&lines),
        })
    }
}

/// Returns whether every host completed. The failure was then something else, such as a probe.
fn is_done(line: &Line) -> bool {
    let Entry::Ended(Ended { hosts, why: None, .. }) = &line.what else { return false };
    !hosts.is_empty() && hosts.values().all(|host| host.state == "done")
}

fn place(lines: &[Line]) -> Option<String> {
    let stages = lines.iter().find_map(|line| match &line.what {
        Entry::Planned(planned) => Some(planned.stages.len()),
        _ => None,
    })?;
    let reached = lines.iter().rev().find_map(|line| match &line.what {
        Entry::Stage { stage, title } => Some((stage + 1, title.clone())),
        _ => None,
    });
    Some(match reached {
        Some((stage, title)) => format!("in stage {stage} of {stages} ({title})"),
        None => "before its first stage".to_owned(),
    })
}

/// Formats the time since `at`.
fn ago(at: &str) -> Option<String> {
    let then: jiff::Timestamp = at.parse().ok()?;
    let secs = jiff::Timestamp::now().as_second().saturating_sub(then.as_second()).max(0);
    Some(match secs {
        0..120 => format!("{secs} s"),
        120..7200 => format!("{} min", secs / 60),
        7200..172_800 => format!("{} h", secs / 3600),
        _ => format!("{} days", secs / 86_400),
    })
}

impl Recorder {
    /// Starts the record of a run.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn begin(book: Book, begun: Begun) -> io::Result<Self> {
        let former = Former::of(&book, &begun);
        let line = Line { before: None, at: now(), what: Entry::Begun(Box::new(begun.clone())) };
        let text = serde_json::to_vec(&line)?;
        let file = book.begin(&begun, &text)?;
        let (run, last) = (begun.run, chain::digest(&text));
        Ok(Self { book, run, file, last, former, survey: Survey::default(), failure: None })
    }

    /// Records the plan.
    pub fn planned(&mut self, planned: Planned) {
        self.write(Entry::Planned(planned));
    }

    /// Records the result of a command and its hosts.
    pub fn ran(&mut self, hosts: Vec<String>, ended: &str) {
        self.write(Entry::Ran { hosts, ended: bounded(ended) });
    }

    /// Records an event. Returns a note about the resumed run once all hosts are checked.
    pub fn hear(&mut self, event: &Event) -> Option<Event> {
        let words = self.resumed(event);
        if let Some(entry) = entry(event) {
            self.write(entry);
        }
        words
    }

    /// Records the result of the run.
    ///
    /// # Errors
    /// The record could not be written completely.
    pub fn end(mut self, ended: Ended) -> io::Result<()> {
        self.write(Entry::Ended(ended.clone()));
        match self.failure {
            Some(error) => Err(error),
            None => self.book.end(&self.run, &ended, self.last),
        }
    }

    fn write(&mut self, what: Entry) {
        if self.failure.is_some() {
            return;
        }
        let line = Line { before: Some(self.last), at: now(), what };
        let written = serde_json::to_vec(&line).map_err(io::Error::from).and_then(|mut text| {
            let digest = chain::digest(&text);
            text.push(b'\n');
            self.file.write_all(&text).map(|()| digest)
        });
        match written {
            Ok(digest) => self.last = digest,
            Err(error) => self.failure = Some(error),
        }
    }

    fn resumed(&mut self, event: &Event) -> Option<Event> {
        match event {
            Event::Surveying(host, steps) => {
                self.survey.hosts.insert(host.0.clone());
                self.survey.announced += steps;
                None
            }
            Event::Surveyed(_, differ) => {
                self.survey.differ += differ;
                self.survey.steps = self.survey.announced;
                None
            }
            Event::StageStarted(..) | Event::StepFinished(..) | Event::RunFinished(_)
                if self.survey.steps > 0 =>
            {
                let Former { run, words, at } = self.former.take()?;
                let Survey { steps, differ, hosts, .. } = &self.survey;
                let place = at.map(|at| format!(" {at}")).unwrap_or_default();
                Some(Event::Note(
                    Level::Info,
                    format!(
                        "resuming run {run}, {words}{place}: {} of {steps} steps on {} are up to date, {differ} pending",
                        steps.saturating_sub(*differ),
                        if hosts.len() == 1 { "1 host".to_owned() } else { format!("{} hosts", hosts.len()) },
                    ),
                ))
            }
            _ => None,
        }
    }
}

/// Returns the record entry of an event, if it is recorded.
fn entry(event: &Event) -> Option<Entry> {
    Some(match event {
        Event::Connected(host, facts) => {
            Entry::Connected { host: host.0.clone(), hostname: bounded(&facts.hostname) }
        }
        Event::Unreachable { host, failure } => {
            Entry::Unreachable { host: host.0.clone(), why: bounded(&one_line(failure)) }
        }
        Event::Reconnecting(host, why) => Entry::Unreachable {
            host: host.0.clone(),
            why: format!("connection lost, reconnecting: {}", bounded(why)),
        },
        Event::Surveyed(host, differ) => Entry::Surveyed { host: host.0.clone(), differ: *differ },
        Event::StageStarted(stage, title) => Entry::Stage { stage: *stage, title: title.clone() },
        Event::StepFinished(host, step, title, outcome, took) => {
            let (outcome, detail) = words(outcome);
            let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
            let (host, title) = (host.0.clone(), bounded(title));
            Entry::Step { host, step: step.0, title, outcome: outcome.to_owned(), detail, seconds }
        }
        Event::ProbeFailed { url, why, doing } => {
            Entry::Note { text: bounded(&format!("probe {url} failed: {why} (during: {doing})")) }
        }
        Event::ProbeAnswers { url, gap, failed } => {
            let gap = gap.as_secs_f64();
            Entry::Note {
                text: bounded(&format!("probe {url} answers again after {gap:.1} s: {failed} failed")),
            }
        }
        Event::Note(_, text) => Entry::Note { text: bounded(text) },
        Event::Interrupted => Entry::Interrupted,
        _ => return None,
    })
}

/// Returns the name of an outcome and its short texts. Diffs are omitted because they are long and
/// can be reproduced from the files.
fn words(outcome: &Outcome) -> (&'static str, Vec<String>) {
    let (word, mut detail) = match outcome {
        Outcome::Ok | Outcome::Observed(_) => ("ok", Vec::new()),
        Outcome::WouldChange(difference) => ("differs", difference.statements()),
        Outcome::Changed(difference) => ("changed", difference.statements()),
        Outcome::Skipped(why) => ("skipped", vec![why.clone()]),
        Outcome::Failed(failure) => {
            let causes = failure.causes.iter().cloned();
            ("failed", std::iter::once(failure.what.clone()).chain(causes).collect())
        }
    };
    detail.truncate(TEXTS);
    (word, detail.iter().map(|text| bounded(text)).collect())
}

fn bounded(text: &str) -> String {
    text.chars().take(TEXT).collect()
}
