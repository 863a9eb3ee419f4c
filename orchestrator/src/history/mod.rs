//! What was done from this machine: a record for every run that changes something, which grows while the run goes on, and a register that
//! holds all records together. Free of secrets, private to the user, bounded.
//!
//! ```text
//! entry     what is in a record and in the register
//! book      the folder: the register, what is kept, which records are whole
//! recorder  hears the events of a run and writes them down
//! ```
//!
//! Each line of a record names the digest of the line before it, and the register, a chain of its own, names the first and the last line
//! of each record.

mod book;
mod entry;
mod recorder;

#[cfg(test)]
mod tests;

pub use book::{Book, End, Problem, Record, Recorded};
pub use entry::{Begun, Ended, Entry, HostSum, Line, Planned};
pub use recorder::{Former, Recorder};
