//! The lab: hosts to deploy to that need only this machine, and the helpers of end-to-end tests.
//!
//! `machine` boots real systemd hosts with OpenSSH (root on Linux). `process` runs SSH servers
//! inside the test process (anywhere). `standin` builds stand-in distributions of the product.

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
pub mod skip;
pub mod standin;
pub mod tree;
