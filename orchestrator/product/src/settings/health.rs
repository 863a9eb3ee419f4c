//! `apim.health`: deadlines of health checks.

use super::read::Section;

/// `apim.health`: deadlines of health checks, in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Time for a node to start. A first start fills database tables and the index, so the default
    /// is generous; a known cause of failure ends the wait immediately.
    pub started_secs: u64,
    /// Time for a node to open its connections and deploy its APIs; includes one restart, if
    /// needed.
    pub complete_secs: u64,
    /// Time after which an incomplete node is restarted once (0: never).
    pub restart_after_secs: u64,
}

impl Health {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let mut read = Self { started_secs: 600, complete_secs: 420, restart_after_secs: 120 };
        let Some(mut part) = section.section("health") else { return read };
        let mut secs = |key, lowest, default| {
            part.number(key, lowest..=7200).and_then(|n| u64::try_from(n).ok()).unwrap_or(default)
        };
        read.started_secs = secs("started_secs", 1, read.started_secs);
        read.complete_secs = secs("complete_secs", 1, read.complete_secs);
        read.restart_after_secs = secs("restart_after_secs", 0, read.restart_after_secs);
        part.finish();
        read
    }
}
