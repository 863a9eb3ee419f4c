//! End-to-end tests: the real `apim-deploy`, the real agent, real SSH.
//!
//! `machine` needs root on Linux. `process` runs anywhere. `databases` needs a database server.
#![expect(clippy::print_stderr, reason = "tests print timings and what they do")]

mod databases;
mod machine;
mod process;
mod recap;

use recap::{JSON, Recap, assert_nothing_changed, changed, changed_steps, events, notes};

/// Whether a running server writes to a path of a host, so that it differs between equal runs.
fn varies(path: &str) -> bool {
    ["/repository/logs", "/repository/database", "/repository/components/tmp", "/tmp", "/work", "/patches"]
        .iter()
        .any(|part| path.ends_with(part))
        // Contains the time at which the release was unpacked.
        || path.ends_with("/.apim-deploy.json")
        || path.ends_with(".pid")
        || path.ends_with(".log")
        || path.starts_with("etc/mtab")
        || path.starts_with("etc/ld.so")
}
