//! State shared by all probers of a run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::activity::Activity;

/// State shared by all probers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) activity: Mutex<Activity>,
    pub(super) sent: AtomicU64,
    pub(super) failed: AtomicU64,
    /// Number of failures that halt the rollout.
    pub(super) stop_after: Option<u64>,
    pub(super) halt: watch::Sender<Option<String>>,
}

impl Shared {
    /// Describes what the run is doing.
    pub(super) fn doing(&self) -> String {
        self.activity().words()
    }

    pub(super) fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request. Halts the rollout after too many failures.
    pub(super) fn count(&self, is_good: bool) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if is_good {
            return;
        }
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if self.stop_after.is_some_and(|most| failed >= most) {
            let words = if failed == 1 { "1 probe request" } else { &format!("{failed} probe requests") };
            self.halt.send_if_modified(|halt| {
                let is_first = halt.is_none();
                halt.get_or_insert_with(|| format!("{words} failed (--probe-stop-after)"));
                is_first
            });
        }
    }
}
