//! The one door to files, accounts, processes and state of the host; below `--root DIR` every path is confined to DIR.
//!
//! Paths are walked component by component on open folders (`walk`), so no folder can be swapped for a link between
//! check and use. The behaviour of operations is not here.

mod account;
mod copy;
mod error;
mod facts;
mod file;
mod host;
mod kernel;
mod process;
mod stat;
mod state;
#[cfg(test)]
mod tests;
mod tree;
mod walk;

pub use account::{Entry, GroupEntry, Ids};
pub use copy::Allowance;
pub use error::SystemError;
pub use host::System;
pub use kernel::{Setting, neat};
pub use process::{Output, Program};
pub use stat::{Attributes, Bytes, Kind, Stat};

pub use apim_protocol::observation::Ended;
pub use state::State;
pub use tree::{Cursor, Inside, Tree, TreeError};
