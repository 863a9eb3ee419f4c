//! The service behind a wait: whether it still lives, and what it writes meanwhile.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use apim_protocol::operation::wait::Service;
use apim_protocol::outcome::Failure;
use regex::Regex;

use super::cause::Causes;
use super::examiner::Examiner;
use crate::operation::unit::record::{Record, Start};
use crate::operation::unit::supervisor::Supervisor;
use crate::probe::log::Reader;
use crate::system::System;

/// How many of the last log lines are kept for a report.
const KEPT: usize = 25;
/// A process that is gone may come back at once (a restart in place), and its last words may still be on their way.
const GRACE: Duration = Duration::from_secs(1);
/// How long a unit may be up without the process that it had, before that counts as its end.
const WITHOUT_PROCESS: Duration = Duration::from_secs(20);
/// The supervisor is asked no more often than this.
const ASKING: Duration = Duration::from_millis(250);
/// Standard output is looked at this often: most services write a log, and this is for those that die before they can.
const OUTPUT: Duration = Duration::from_secs(4);

/// Watches one service.
#[derive(Debug)]
pub(super) struct ServiceWatch<'a> {
    service: &'a Service,
    supervisor: Supervisor<'a>,
    record: Record,
    reader: Option<Reader>,
    pub(super) causes: Causes<'a>,
    cure: Option<Regex>,
    /// The line that says that only a restart helps.
    pub(super) cure_line: Option<String>,
    last_lines: VecDeque<String>,
    /// When the log last grew.
    pub(super) grown: Instant,
    had_process: bool,
    without_since: Option<Instant>,
    asked: Option<Instant>,
    output_read: Instant,
    log_error: Option<String>,
}

impl<'a> ServiceWatch<'a> {
    pub(super) fn new(system: &'a System, service: &'a Service, cure: Option<&str>) -> Result<Self, Failure> {
        let broken = |error| Failure::from_error("invalid regular expression", &error);
        let supervisor = Supervisor::new(system, &service.unit, &service.process);
        let mut watch = Self {
            service,
            supervisor,
            record: Record::default(),
            reader: None,
            causes: Causes::new(&service.causes).map_err(broken)?,
            cure: cure.map(Regex::new).transpose().map_err(broken)?,
            cure_line: None,
            last_lines: VecDeque::new(),
            grown: Instant::now(),
            had_process: false,
            without_since: None,
            asked: None,
            output_read: Instant::now(),
            log_error: None,
        };
        watch.begin()?;
        Ok(watch)
    }

    /// Starts over with the unit's last start.
    pub(super) fn begin(&mut self) -> Result<(), Failure> {
        let system = self.supervisor.system;
        self.record = Record::load(system, &self.service.unit)?;
        let mark = self.start().map(|start| start.mark.clone()).unwrap_or_default();
        self.reader = self.service.log.as_ref().map(|log| Reader::since(&system.resolve(log), &mark));
        self.causes.forget();
        self.last_lines.clear();
        self.cure_line = None;
        self.had_process = false;
        self.without_since = None;
        self.asked = None;
        self.grown = Instant::now();
        self.output_read = Instant::now();
        Ok(())
    }

    fn start(&self) -> Option<&Start> {
        let running = self.supervisor.matcher.find().iter().map(|process| process.started).min();
        self.record.in_effect(running)
    }

    /// Reads what the service wrote since the last look.
    pub(super) fn read(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        let (causes, cure, cure_line) = (&mut self.causes, &self.cure, &mut self.cure_line);
        let (last_lines, grown) = (&mut self.last_lines, &mut self.grown);
        let polled = reader.poll(&mut |line| {
            *grown = Instant::now();
            causes.feed(line);
            if cure_line.is_none() && cure.as_ref().is_some_and(|cure| cure.is_match(line)) {
                *cure_line = Some(line.to_owned());
            }
            if last_lines.len() == KEPT {
                last_lines.pop_front();
            }
            last_lines.push_back(line.to_owned());
            ControlFlow::Continue(())
        });
        self.log_error = polled.err().map(|error| error.to_string());
        if self.output_read.elapsed() >= OUTPUT {
            self.read_output();
        }
    }

    /// Looks at what the service printed, too.
    pub(super) fn read_output(&mut self) -> Vec<String> {
        self.output_read = Instant::now();
        let Some(start) = self.start().cloned() else { return Vec::new() };
        let lines = self.supervisor.output(&start, 200);
        for line in &lines {
            self.causes.feed(line);
        }
        lines
    }

    /// Returns the last lines of the log since the start; of a log without any, those that the service printed.
    pub(super) fn last_words(&mut self) -> Vec<String> {
        let printed = self.read_output();
        if self.last_lines.is_empty() {
            let skipped = printed.len().saturating_sub(KEPT);
            return printed.into_iter().skip(skipped).collect();
        }
        self.last_lines.iter().cloned().collect()
    }

    /// Returns why the log could not be read, if so.
    pub(super) fn log_error(&self) -> Option<&str> {
        self.log_error.as_deref()
    }

    /// Returns how the service ended, once it is sure that it did.
    pub(super) fn end(&mut self, examiner: &mut Examiner<'_>) -> Result<Option<String>, Failure> {
        if !examiner.own(&self.service.process).is_empty() {
            self.had_process = true;
            self.without_since = None;
            return Ok(None);
        }
        if self.asked.is_some_and(|asked| asked.elapsed() < ASKING) {
            return Ok(None);
        }
        self.asked = Some(Instant::now());
        let status = self.supervisor.status(&self.record)?;
        let unit = &self.service.unit;
        let since = match (status.is_up(), self.had_process) {
            (true, false) => {
                self.without_since = None;
                return Ok(None);
            }
            (true, true) => {
                let since = *self.without_since.get_or_insert_with(Instant::now);
                if since.elapsed() < WITHOUT_PROCESS {
                    return Ok(None);
                }
                since
            }
            (false, _) => *self.without_since.get_or_insert_with(Instant::now),
        };
        if since.elapsed() < GRACE {
            return Ok(None);
        }
        let result = status.shown.as_ref().map(|shown| shown.result.as_str()).unwrap_or_default();
        let why = match result {
            "" | "success" => String::new(),
            "oom-kill" => " (the kernel ended it for want of memory)".to_owned(),
            result => format!(" ({result})"),
        };
        Ok(Some(if self.had_process {
            format!("its process ended, and {unit} is {}{why}", status.word())
        } else {
            format!("{unit} is {}{why}, and no process of it lives", status.word())
        }))
    }
}
