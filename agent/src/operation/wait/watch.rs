//! The loop of a wait: check, report, sleep a little; end as soon as it is decided, either way.

use std::thread;
use std::time::{Duration, Instant};

use apim_protocol::operation::wait::{Condition, Remedy, Wait};
use apim_protocol::outcome::{Difference, Failure, Outcome};

use super::examiner::{Answer, Examiner};
use super::notes;
use super::report;
use super::report::End;
use super::service_watch::ServiceWatch;
use crate::operation::support::dialogue::Dialogue;
use crate::operation::unit::record::Record;
use crate::operation::unit::supervisor;
use crate::operation::unit::supervisor::{Again, Stopped};
use crate::probe::clock::since_boot;
use crate::system::System;

/// The shortest and the longest pause between two looks.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(250);
/// Looking may take at most one part in this many of the time.
const SHARE: u32 = 20;
/// After a line that settles the matter, a more telling one is waited for this long.
const SECOND_THOUGHT: Duration = Duration::from_secs(1);

/// Returns the first condition that does not hold; the cheap ones are looked at first, the others only when those hold.
pub(super) fn unmet<'c>(
    examiner: &mut Examiner<'_>,
    conditions: &'c [Condition],
) -> Option<(&'c Condition, Answer)> {
    let cheap = conditions.iter().filter(|condition| condition.is_cheap());
    let dear = conditions.iter().filter(|condition| !condition.is_cheap());
    cheap.chain(dear).map(|condition| (condition, examiner.look(condition))).find(|(_, answer)| !answer.holds)
}

/// Returns how long the service must yet stay as it is, when it said only a moment ago that it is up: some fall over right after.
pub(super) fn unsettled(system: &System, wait: &Wait) -> Option<Duration> {
    let settle = Duration::from_secs(wait.settle_secs);
    let service = wait.service.as_ref().filter(|_| !settle.is_zero())?;
    let record = Record::load(system, &service.unit).ok()?;
    // Where no run had to wait for the line, the start itself is not long ago.
    let start = record.last()?;
    let passed = start.passed_at_millis.unwrap_or(start.at.since_boot_millis);
    // A time after now is of another boot.
    let since = Duration::from_millis(millis_since_boot().checked_sub(passed)?);
    settle.checked_sub(since).filter(|rest| !rest.is_zero())
}

fn millis_since_boot() -> u64 {
    u64::try_from(since_boot().as_millis()).unwrap_or(u64::MAX)
}

/// A wait under way.
pub(super) struct Watch<'a> {
    wait: &'a Wait,
    system: &'a System,
    examiner: Examiner<'a>,
    service: Option<ServiceWatch<'a>>,
    begun: Instant,
    fatal_since: Option<Instant>,
    remedy: Option<&'a Remedy>,
    done: Vec<String>,
    remarks: Vec<String>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(wait: &'a Wait, system: &'a System) -> Result<Self, Failure> {
        let cure = wait.remedy.as_ref().and_then(|remedy| remedy.when_logged.as_deref());
        let service =
            wait.service.as_ref().map(|service| ServiceWatch::new(system, service, cure)).transpose()?;
        Ok(Self {
            wait,
            system,
            examiner: Examiner::new(system),
            service,
            begun: Instant::now(),
            fatal_since: None,
            remedy: wait.remedy.as_ref(),
            done: Vec::new(),
            remarks: Vec::new(),
        })
    }

    pub(super) fn run(mut self, dialogue: &mut dyn Dialogue) -> Result<Outcome, Failure> {
        loop {
            let look = Instant::now();
            let Some((condition, answer)) = unmet(&mut self.examiner, &self.wait.conditions) else {
                let Some(rest) = unsettled(self.system, self.wait) else { return Ok(self.succeeded()) };
                if dialogue.is_cancelled() {
                    return Err(self.failed(&End::Cancelled));
                }
                dialogue.progress(&format!("waiting: to stay so for {} s", self.wait.settle_secs), 0, 0);
                thread::sleep(rest.clamp(SHORTEST, LONGEST));
                continue;
            };
            if let Some(service) = &mut self.service {
                service.read();
            }
            if let Some(end) = self.end(dialogue)? {
                return Err(self.failed(&end));
            }
            self.tell(dialogue, condition, &answer);
            self.cure(dialogue)?;
            thread::sleep((look.elapsed() * SHARE).clamp(SHORTEST, LONGEST));
        }
    }

    fn end(&mut self, dialogue: &dyn Dialogue) -> Result<Option<End>, Failure> {
        let elapsed = self.begun.elapsed();
        if dialogue.is_cancelled() {
            return Ok(Some(End::Cancelled));
        }
        if let Some(service) = &mut self.service {
            if let Some(how) = service.end(&mut self.examiner)? {
                return Ok(Some(End::Gone(how, elapsed)));
            }
            if service.causes.is_fatal() {
                let since = *self.fatal_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= SECOND_THOUGHT {
                    return Ok(Some(End::Fatal(elapsed)));
                }
            }
        }
        let is_over = elapsed >= Duration::from_secs(self.wait.deadline_secs);
        Ok(is_over.then_some(End::Deadline(elapsed)))
    }

    fn tell(&self, dialogue: &mut dyn Dialogue, condition: &Condition, answer: &Answer) {
        let (elapsed, deadline) = (self.begun.elapsed().as_secs(), self.wait.deadline_secs);
        let words = condition.words();
        let what = format!("waiting: {words} (last answer: {}), {elapsed} s of {deadline} s", answer.text);
        dialogue.progress(&what, elapsed, deadline);
    }

    /// Restarts the service once, when that is what it needs.
    fn cure(&mut self, dialogue: &mut dyn Dialogue) -> Result<(), Failure> {
        let Some(remedy) = self.remedy else { return Ok(()) };
        let line = self.service.as_ref().and_then(|service| service.cure_line.clone());
        let is_late = remedy.after_secs > 0 && self.begun.elapsed() >= Duration::from_secs(remedy.after_secs);
        if line.is_none() && !is_late {
            return Ok(());
        }
        self.remedy = None;
        if let Err(refusal) = dialogue.permit(&remedy.unit, &remedy.why) {
            self.remarks.push(format!(
                "a restart might have helped ({}), but its permit was refused: {}",
                remedy.why, refusal.what
            ));
            return Ok(());
        }
        let process = self.wait.service.as_ref().map(|service| service.process.clone()).unwrap_or_default();
        let log = self.wait.service.as_ref().and_then(|service| service.log.clone());
        let again = Again { unit: &remedy.unit, process, log, stop_timeout_secs: remedy.stop_timeout_secs };
        let stopped = supervisor::restart(self.system, again, dialogue)?;
        self.done.push(format!("restarted once: {}", remedy.why));
        if let Stopped::Killed(secs) = stopped {
            self.done.push(format!("ended with KILL, because it did not stop within {secs} s"));
        }
        self.examiner.forget();
        if let Some(service) = &mut self.service {
            service.begin()?;
        }
        self.fatal_since = None;
        self.begun = Instant::now();
        Ok(())
    }

    fn succeeded(self) -> Outcome {
        self.note_passed();
        notes::note_up(self.wait, self.system);
        if self.done.is_empty() {
            return Outcome::Ok;
        }
        Outcome::Changed(Difference::of(self.done))
    }

    /// Keeps in mind which lines were logged: the log is rotated away some day, and the node is healthy all the same.
    fn note_passed(&self) {
        for condition in &self.wait.conditions {
            let Condition::Logged { pattern, since_start_of: unit, .. } = condition else { continue };
            let Ok(mut record) = Record::load(self.system, unit) else { continue };
            let is_new = record.last_mut().is_some_and(|start| start.passed.insert(pattern.clone()));
            if is_new {
                if let Some(start) = record.last_mut() {
                    start.passed_at_millis = Some(millis_since_boot());
                }
                // without the note the log is read again next time
                drop(record.save(self.system, unit));
            }
        }
    }

    /// Records that the service cannot become healthy any more, so that the next run restarts it, whatever its inputs.
    fn note_hopeless(&self) {
        let Some(service) = &self.wait.service else { return };
        let seen = self.service.as_ref().map(|watch| watch.causes.seen()).unwrap_or_default();
        let Some((cause, _)) = seen.iter().find(|(cause, _)| cause.fatal) else { return };
        let Ok(mut record) = Record::load(self.system, &service.unit) else { return };
        if let Some(start) = record.last_mut() {
            start.hopeless = Some(cause.cause.clone());
            // without the note the next run finds it out again
            drop(record.save(self.system, &service.unit));
        }
    }

    fn failed(mut self, end: &End) -> Failure {
        if matches!(end, End::Fatal(_)) {
            self.note_hopeless();
        }
        let mut missing = Vec::new();
        for condition in &self.wait.conditions {
            let answer = self.examiner.look(condition);
            if !answer.holds {
                missing.push((condition.words(), answer.text));
            }
        }
        self.remarks.splice(0..0, self.done);
        report::failure(self.wait, end, &missing, self.service.as_mut(), &self.remarks)
    }
}
