//! Polls conditions, with a deadline.

use std::time::{Duration, Instant};

/// The interval between two checks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Polls until `condition` is true. Returns whether that happened within `limit`.
pub fn until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(INTERVAL);
    }
}
