//! The lab: hosts to deploy to that need nothing but this machine, and what end-to-end tests use to drive the real programs.
//!
//! `machine` boots real systemd hosts with OpenSSH (root on Linux); `process` has SSH servers within the process (anywhere).
//! `standin` builds stand-in distributions of the product.

pub mod cli;
pub mod distributions;
pub mod files;
pub mod inventory;
pub mod load;
pub mod machine;
pub mod poison;
pub mod poll;
pub mod process;
pub mod rehearsal;
pub mod servers;
pub mod standin;
pub mod tree;
