//! Points in time that survive a change of the host's clock: seconds since 1970 for people, time since boot for comparing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// When something happened on this host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Milliseconds since 1970 by the host's clock.
    pub unix_millis: u64,
    /// The boot during which it happened.
    pub boot: String,
    /// Milliseconds since that boot (time asleep counts).
    pub since_boot_millis: u64,
}

impl Moment {
    /// Returns now.
    #[must_use]
    pub fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            unix_millis: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            boot: boot_id(),
            since_boot_millis: u64::try_from(since_boot().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Says whether a process that began `started` after boot began at or after this moment.
    ///
    /// The kernel counts starts in ticks of 10 ms, rounded down: as much is forgiven.
    #[must_use]
    pub fn is_before_start(&self, started: Duration) -> bool {
        self.boot != boot_id()
            || started + Duration::from_millis(20) >= Duration::from_millis(self.since_boot_millis)
    }

    /// Returns the moment for journalctl's `--since`.
    #[must_use]
    pub fn for_journal(&self) -> String {
        format!("@{}.{:03}", self.unix_millis / 1000, self.unix_millis % 1000)
    }
}

/// Returns the time since the host was booted.
#[must_use]
pub fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Returns the name of this boot; empty where the kernel has none.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_later_is_after_and_what_started_earlier_is_not() {
        let now = Moment::now();
        let at = Duration::from_millis(now.since_boot_millis);
        assert!(now.is_before_start(at));
        assert!(now.is_before_start(at + Duration::from_secs(5)));
        assert!(!now.is_before_start(at.saturating_sub(Duration::from_secs(5))));
    }

    #[test]
    fn every_start_after_another_boot_is_after() {
        let moment = Moment { boot: "another".to_owned(), since_boot_millis: u64::MAX / 4, ..Moment::now() };
        assert!(moment.is_before_start(Duration::ZERO));
    }
}
