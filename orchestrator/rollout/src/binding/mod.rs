//! Saved plans: a plan, its inputs and its survey result as a file, to be applied exactly as shown.
//!
//! ```text
//! key      keyed digests; the key stays with the user, so passwords cannot be guessed from them
//! file     the file: typed, sealed and private; reports why a file is rejected
//! work     the steps of a plan and their survey results
//! moved    differences between the saved plan and the current state, as text
//! ```
//!
//! `cli` decides which files are read and records the user.

mod file;
mod key;
mod moved;
mod work;

#[cfg(test)]
mod tests;

pub use file::{Asked, BoundPlan, Made, PlanFileError};
pub use key::Key;
pub use moved::{basis, since_planned, since_seen};
pub use work::{Found, HostSeen, LaneBound, StageBound, StepBound, hosts, stages};
