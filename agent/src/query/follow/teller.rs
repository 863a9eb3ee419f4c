//! Reports entries of a log, several at a time.

use std::time::{Duration, Instant};

use apim_protocol::mask;
use apim_protocol::observation::LogEntry;

use crate::operation::support::dialogue::Report;

/// So many bytes of entries go in one message.
const BATCH: usize = 256 * 1024;
/// Of a log that nobody writes to so often is told that it is read.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How long it may take until what was written is told.
pub(super) const TELL_EVERY: Duration = Duration::from_millis(200);

/// Tells entries, several at a time.
pub(super) struct Teller<'a> {
    report: &'a mut dyn Report,
    batch: Vec<LogEntry>,
    bytes: usize,
    /// Whether what was there already has been told.
    is_live: bool,
    /// When something was told last.
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

    /// Tells what was taken; of a log that nobody writes to, now and then, that it is still read.
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

    /// Tells that older entries are left out, because there are too many.
    pub(super) fn left_out(&mut self, count: u64) {
        if count > 0 {
            self.report.progress(&format!("{count} older entries are left out"), 0, 0);
        }
    }
}
