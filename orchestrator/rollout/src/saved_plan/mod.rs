//! Saved plans: a plan, its inputs and its survey result as a file, to be applied exactly as shown.
//!
//! ```text
//! key      keyed digests; the key stays with the user, so passwords cannot be guessed from them
//! file     the file: typed, sealed and private; reports why a file is rejected
//! step     the steps of a plan and their survey results
//! stale    differences between the saved plan and the current state, as text
//! ```
//!
//! `cli` decides which files are read and records the user.

mod file;
mod key;
mod stale;
mod step;

#[cfg(test)]
mod tests;

pub use file::{CommandOptions, Origin, PlanFileError, SavedPlan};
pub use key::Key;
pub use stale::{basis, since_planned, since_seen};
pub use step::{Found, HostIdentity, SavedLane, SavedStage, SavedStep, hosts, stages};
