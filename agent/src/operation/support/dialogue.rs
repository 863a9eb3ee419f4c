//! What a running step may report to the orchestrator, and what it may request.

use std::path::PathBuf;

use apim_protocol::observation::LogEntry;
use apim_protocol::operation::archive::part::Part;
use apim_protocol::outcome::Failure;
use apim_protocol::value::{Content, UnitName};

use super::arrival::Arrival;

/// What any step may report. Nothing here leads to a change of the host, so this is all that a query gets.
pub trait Report {
    /// Reports progress (`total` 0 when unknown). Cheap to call, rate-limited by the callee.
    fn progress(&mut self, what: &str, done: u64, total: u64);

    /// Reports entries of a log, and whether they are new; waits until there is room for them.
    fn entries(&mut self, entries: Vec<LogEntry>, is_live: bool);

    /// Says whether the run was cancelled, or its link lost. Long waits poll this and stop.
    fn is_cancelled(&self) -> bool;

    /// Says whether the run was cancelled by its user; a lost link does not count.
    fn is_called_off(&self) -> bool {
        self.is_cancelled()
    }
}

/// What an operation may request of the orchestrator while it applies.
pub trait Dialogue: Report {
    /// Returns a local file with `content`, verified; fetches it first when the host lacks it.
    ///
    /// # Errors
    /// When the content is not available or its digest is wrong.
    fn content(&mut self, content: &Content) -> Result<PathBuf, Failure> {
        self.content_arriving(content, &Arrival::default())
    }

    /// The same, and updates `arrival` while the bytes come in; the caller marks its end.
    ///
    /// # Errors
    /// When the content is not available or its digest is wrong.
    fn content_arriving(&mut self, content: &Content, arrival: &Arrival) -> Result<PathBuf, Failure>;

    /// Returns a local file with the outline of the zip `content`; `None` when it has none, or when some of the zip is on the host
    /// already.
    ///
    /// # Errors
    /// When the link is lost or the run was cancelled.
    fn outline(&mut self, content: &Content) -> Result<Option<PathBuf>, Failure> {
        let _ = content;
        Ok(None)
    }

    /// Returns a local file with these parts of `content`, concatenated and not verified.
    ///
    /// # Errors
    /// When they are not available.
    fn parts(&mut self, content: &Content, parts: &[Part]) -> Result<PathBuf, Failure> {
        let _ = parts;
        Err(Failure::new(format!("parts of the content {}… are not available", content.sha256.short())))
    }

    /// Waits for a permit to take down the healthy `unit`, because of `reason`.
    ///
    /// # Errors
    /// When the permit is refused or the link is lost.
    fn permit(&mut self, unit: &UnitName, reason: &str) -> Result<(), Failure>;
}
