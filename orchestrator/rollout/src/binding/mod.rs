//! A plan that was shown and is to be carried out exactly so: what was planned, what it was made from and what was found, as a file.
//!
//! ```text
//! key      digests that nobody can try passwords against: they are keyed, and the key stays with the user
//! file     the file: typed, sealed, private; whatever is wrong with it is told
//! work     what the steps of a plan would do, and what a look at the hosts found
//! moved    what is otherwise now than it was then, in words
//! ```
//!
//! Which files were read and who asked is for `cli` to say.

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
