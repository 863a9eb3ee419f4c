//! Run records on this machine: a record for every run that changes hosts, written while the run
//! proceeds, and a register of all records. Records contain no secrets, are readable only by the
//! user, and have a size limit.
//!
//! ```text
//! entry     the lines of records and of the register
//! book      the folder: the register, retention, integrity checks
//! recorder  writes the events of a run to its record
//! ```
//!
//! Each line of a record contains the digest of the preceding line. The register is such a chain as
//! well, and contains the digests of the first and the last line of each record.

mod book;
mod entry;
mod recorder;

#[cfg(test)]
mod tests;

pub use book::{Book, End, Problem, Record, Recorded};
pub use entry::{Begun, Ended, Entry, HostSum, Line, Planned};
pub use recorder::{Former, Recorder};
