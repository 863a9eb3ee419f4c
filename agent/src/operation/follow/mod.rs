//! The end of a log, and what is added to it: told entry by entry, of those that match only, bounded whatever is written there.

use std::time::{Duration, Instant};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::examine::machine;
use super::{Converge, Dialogue};
use crate::mask;
use crate::observation::LogEntry;
use crate::outcome::{Difference, Failure, Outcome};
use crate::probe::stamp;
use crate::probe::tail::Wish;
use crate::system::System;
use crate::value::{AbsPath, UnitName};

mod file;
mod journal;
#[cfg(test)]
mod tests;

/// A compiled pattern may take so many bytes.
const PATTERN_LIMIT: usize = 1024 * 1024;
/// So many entries are told of what is there already.
const MOST: u32 = 20_000;
/// So many bytes of entries go in one message.
const BATCH: usize = 256 * 1024;
/// Of a log that nobody writes to so often is told that it is read.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How long it may take until what was written is told.
pub(super) const TELL_EVERY: Duration = Duration::from_millis(200);

/// Tell the end of a log, and go on where that is wished for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Which.
    pub log: Log,
    /// The last so many entries; all of them where only `since` counts.
    pub last: Option<u32>,
    /// Only those since then, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Only those with a line that matches this regular expression.
    pub matching: Option<String>,
    /// Whether to go on with what is added, until the run is called off.
    pub goes_on: bool,
}

/// A log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// A file.
    File {
        /// Its folder.
        folder: AbsPath,
        /// Its name; with a `*` in it the newest file that fits.
        name: String,
    },
    /// What systemd's journal has of a unit.
    Journal(UnitName),
}

impl Follow {
    /// Tells; nothing is changed, whatever the mode is.
    pub(super) fn settle(&self, system: &System, dialogue: &mut dyn Dialogue) -> Outcome {
        self.tell(system, dialogue).unwrap_or_else(Outcome::Failed)
    }

    fn tell(&self, system: &System, dialogue: &mut dyn Dialogue) -> Result<Outcome, Failure> {
        let wish = self.wish(system)?;
        let mut teller =
            Teller { dialogue, batch: Vec::new(), bytes: 0, is_live: false, told: Instant::now() };
        match &self.log {
            Log::File { folder, name } => {
                file::tell(system, (folder, name), &wish, (self.goes_on, &mut teller))?;
            }
            Log::Journal(unit) => journal::tell(system, unit, &wish, (self.goes_on, &mut teller))?,
        }
        teller.flush();
        Ok(Outcome::Observed(Box::default()))
    }

    fn wish(&self, system: &System) -> Result<Wish, Failure> {
        let compile = |pattern: &String| -> Result<Regex, Failure> {
            let built = RegexBuilder::new(pattern).size_limit(PATTERN_LIMIT).build();
            built.map_err(|error| Failure::new(format!("`{pattern}` cannot be looked for: {error}")))
        };
        Ok(Wish {
            last: self.last.unwrap_or(MOST).min(MOST) as usize,
            since: self.since,
            matching: self.matching.as_ref().map(compile).transpose()?,
            zone_secs: stamp::zone_secs(&machine::zone(system)).unwrap_or(0),
        })
    }
}

/// Tells entries, several at a time.
pub(super) struct Teller<'a> {
    dialogue: &'a mut dyn Dialogue,
    batch: Vec<LogEntry>,
    bytes: usize,
    /// Whether what was there already has been told.
    is_live: bool,
    /// When something was told last.
    told: Instant,
}

impl Teller<'_> {
    /// Takes an entry; waits where those before it were not taken yet.
    pub(super) fn tell(&mut self, entry: LogEntry) {
        let text = mask::text(&entry.text, &[]);
        self.bytes += text.len();
        self.batch.push(LogEntry { text, ..entry });
        if self.bytes >= BATCH {
            self.flush();
        }
    }

    /// Says that what comes from now on was written just now.
    pub(super) fn is_live(&mut self) {
        self.is_live = true;
        self.dialogue.entries(std::mem::take(&mut self.batch), true);
        self.bytes = 0;
    }

    /// Tells what was taken; of a log that nobody writes to, now and then, that it is still read.
    pub(super) fn flush(&mut self) {
        self.bytes = 0;
        let is_quiet = self.is_live && self.told.elapsed() >= SIGN_OF_LIFE;
        if !self.batch.is_empty() || is_quiet {
            self.told = Instant::now();
            self.dialogue.entries(std::mem::take(&mut self.batch), self.is_live);
        }
    }

    /// Says whether to leave off.
    pub(super) fn is_over(&self) -> bool {
        self.dialogue.is_cancelled()
    }

    /// Tells that older entries are left out, because there are too many.
    pub(super) fn left_out(&mut self, count: u64) {
        if count > 0 {
            self.dialogue.progress(&format!("{count} older entries are left out"), 0, 0);
        }
    }
}

/// Nothing is wished for, so nothing can differ; `converge` tells instead of asking.
impl Converge for Follow {
    fn check(&self, _: &System) -> Result<Option<Difference>, Failure> {
        Ok(None)
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        _: &Difference,
    ) -> Result<Outcome, Failure> {
        self.tell(system, dialogue)
    }
}
