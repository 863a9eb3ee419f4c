//! Looking in a log for one line that was written since a unit's last start.

use std::ops::ControlFlow;
use std::time::Duration;

use apim_protocol::mask;
use apim_protocol::value::{AbsPath, UnitName};
use regex::Regex;

use crate::operation::unit::record::Record;
use crate::operation::unit::supervisor;
use crate::probe::ProbeError;
use crate::probe::clock::since_boot;
use crate::probe::log::{Mark, Reader};
use crate::probe::text::shortened;
use crate::system::System;

/// A start longer ago than this is over, whatever became of its log.
const SETTLED: Duration = Duration::from_secs(3600);

/// Looks in a log for a line.
#[derive(Debug)]
pub(super) struct LogWatch {
    log: AbsPath,
    unit: UnitName,
    regex: Regex,
    reader: Reader,
    found: Option<String>,
    has_passed: bool,
    runs_long: bool,
}

impl LogWatch {
    pub(super) fn new(system: &System, log: &AbsPath, regex: Regex, unit: &UnitName) -> Self {
        let record = Record::load(system, unit).unwrap_or_default();
        let own = record.last().map(|start| supervisor::matcher(system, &start.process).find());
        let running = own.unwrap_or_default().iter().map(|process| process.started).min();
        let start = record.in_effect(running);
        // without a start on record all that the log holds counts
        let mark = start.map_or_else(Mark::default, |start| start.mark.clone());
        Self {
            reader: Reader::since(&system.resolve(log), &mark),
            has_passed: running.is_some() && start.is_some_and(|start| start.passed.contains(regex.as_str())),
            runs_long: running.is_some_and(|started| since_boot().saturating_sub(started) > SETTLED),
            log: log.clone(),
            unit: unit.clone(),
            regex,
            found: None,
        }
    }

    pub(super) fn is_for(&self, log: &AbsPath, pattern: &str, unit: &UnitName) -> bool {
        self.log == *log && self.regex.as_str() == pattern && self.unit == *unit
    }

    /// Reads what is new, and returns the first line that ever matched.
    pub(super) fn poll(&mut self) -> Result<Option<String>, ProbeError> {
        if self.found.is_none() && !self.has_passed {
            let (regex, found) = (&self.regex, &mut self.found);
            self.reader.poll(&mut |line| {
                if !regex.is_match(line) {
                    return ControlFlow::Continue(());
                }
                *found = Some(shortened(&mask::line(line), 200));
                ControlFlow::Break(())
            })?;
        }
        Ok(self.found.clone())
    }

    /// Says whether the line may be taken as written although it was not found: it was seen before, or what was written
    /// at the start is not there any more.
    pub(super) fn is_settled(&self) -> bool {
        self.has_passed || self.runs_long && !self.reader.is_complete()
    }
}
