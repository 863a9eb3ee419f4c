//! Reports entries of a log, several at a time.

use std::time::{Duration, Instant};

use apim_protocol::mask;
use apim_protocol::observation::LogEntry;

use crate::operation::support::dialogue::Report;

/// So many bytes of entries go in one message.
const BATCH: usize = 256 * 1024;
/// How often a silent log is confirmed to be read.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How long a new entry may wait.
pub(super) const TELL_EVERY: Duration = Duration::from_millis(200);

/// Reports entries, several at a time.
pub(super) struct Teller<'a> {
    report: &'a mut dyn Report,
    batch: Vec<LogEntry>,
    bytes: usize,
    /// Whether the existing entries have been reported.
    is_live: bool,
    /// When something was last reported.
    told: Instant,
}

impl<'a> Teller<'a> {
    pub(super) fn new(report: &'a mut dyn Report) -> Self {
        Self { report, batch: Vec::new(), bytes: 0, is_live: false, told: Instant::now() }
    }

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
        self.report.entries(std::mem::take(&mut self.batch), true);
        self.bytes = 0;
    }

    /// Reports what was taken; of a silent log, now and then, that it is still read.
    pub(super) fn flush(&mut self) {
        self.bytes = 0;
        let is_quiet = self.is_live && self.told.elapsed() >= SIGN_OF_LIFE;
        if !self.batch.is_empty() || is_quiet {
            self.told = Instant::now();
            self.report.entries(std::mem::take(&mut self.batch), self.is_live);
        }
    }

    /// Says whether to leave off.
    pub(super) fn is_over(&self) -> bool {
        self.report.is_cancelled()
    }

    /// Reports that older entries are left out, because there are too many.
    pub(super) fn left_out(&mut self, count: u64) {
        if count > 0 {
            self.report.progress(&format!("{count} older entries are left out"), 0, 0);
        }
    }
}
