//! Hears the events of a run and writes them down as they happen, so that a run that is ended from outside leaves what it did until then.
//! Says how a run goes on that did not come to its end before.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};

use apim_protocol::chain;
use apim_protocol::outcome::Outcome;
use apim_protocol::value::Sha256;

use super::book::{Book, End, Record, now};
use super::entry::{Begun, Ended, Entry, Line, Planned};
use crate::engine::event::{Event, Level};

/// Longest text that is kept of a failure or a change.
const TEXT: usize = 500;
/// So many texts are kept of one step.
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
    /// Why no more can be written; told once.
    failure: Option<io::Error>,
}

/// What the look at the hosts found, so far.
#[derive(Debug, Default)]
struct Survey {
    hosts: BTreeSet<String>,
    announced: usize,
    steps: usize,
    differ: usize,
}

/// The run of the same kind on the same inventory that came before and did not end well.
#[derive(Debug, Clone, PartialEq)]
pub struct Former {
    /// Its id.
    pub run: String,
    /// When it began, and who ran it.
    pub words: String,
    /// How far it came, such as `in stage 4 of 9 (start gateways)`.
    pub at: Option<String>,
}

impl Former {
    /// Returns the run that `begun` goes on with, if the last one of its kind did not end well. Runs that were refused before
    /// anything was done are none.
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
            words: format!("{how}{ago}, run by {}", last.operator),
            at: place(&lines),
        })
    }
}

/// Says whether every host came to its end: what failed then was something else, such as a probe.
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

/// Says how long ago that was.
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
    /// Begins the record of a run, in the folder of records.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(book: Book, begun: Begun) -> io::Result<Self> {
        let former = Former::of(&book, &begun);
        let line = Line { before: None, at: now(), what: Entry::Begun(Box::new(begun.clone())) };
        let text = serde_json::to_vec(&line)?;
        let file = book.begin(&begun, &text)?;
        let (run, last) = (begun.run, chain::digest(&text));
        Ok(Self { book, run, file, last, former, survey: Survey::default(), failure: None })
    }

    /// Writes down what is to be done.
    pub fn planned(&mut self, planned: Planned) {
        self.write(Entry::Planned(planned));
    }

    /// Writes down how a command ended, and on which hosts.
    pub fn ran(&mut self, hosts: Vec<String>, ended: &str) {
        self.write(Entry::Ran { hosts, ended: bounded(ended) });
    }

    /// Writes an event down; returns words about the run that this one goes on with, once it is known how much of it was done.
    pub fn hear(&mut self, event: &Event) -> Option<Event> {
        let words = self.resumed(event);
        if let Some(entry) = entry(event) {
            self.write(entry);
        }
        words
    }

    /// Writes down how the run ended.
    ///
    /// # Errors
    /// When the record could not be written to its end.
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
                        "resuming run {run}, {words}{place}: {} of {steps} steps on {} found done, {differ} to do",
                        steps.saturating_sub(*differ),
                        if hosts.len() == 1 { "1 host".to_owned() } else { format!("{} hosts", hosts.len()) },
                    ),
                ))
            }
            _ => None,
        }
    }
}

/// Returns what of an event is kept.
fn entry(event: &Event) -> Option<Entry> {
    Some(match event {
        Event::Connected(host, facts) => {
            Entry::Connected { host: host.0.clone(), hostname: bounded(&facts.hostname) }
        }
        Event::Unreachable(host, why, _) => Entry::Unreachable { host: host.0.clone(), why: bounded(why) },
        Event::Reconnecting(host, why) => Entry::Unreachable {
            host: host.0.clone(),
            why: format!("link lost, connecting again: {}", bounded(why)),
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
            Entry::Note { text: bounded(&format!("probe {url} failed: {why} (meanwhile: {doing})")) }
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

/// Returns the word for an outcome, and the short texts that go with it. Differences of files are left out: they are long, and the files
/// themselves tell.
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
