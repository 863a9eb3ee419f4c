//! Tests that cannot run on this machine.

use std::fmt::Display;

/// The environment variable that makes [`skip`] fail, if it is `required`.
pub const VARIABLE: &str = "APIM_LAB";

/// Reports that a test cannot run here. The test must return afterwards.
///
/// # Panics
/// If `APIM_LAB=required`, so that a test that never ran does not count as passed.
#[track_caller]
#[expect(clippy::print_stderr, reason = "a skipped test prints the reason")]
pub fn skip(why: &dyn Display) {
    let is_required = std::env::var_os(VARIABLE).is_some_and(|value| value == "required");
    assert!(!is_required, "cannot run here, but {VARIABLE}=required: {why}");
    eprintln!("SKIPPED: {why}");
}
