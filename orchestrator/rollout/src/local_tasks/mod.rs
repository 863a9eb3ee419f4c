//! Work that runs on the control machine instead of a host's agent.
//!
//! ```text
//! database  test logins, create databases, load schemas, over the databases' own protocols
//! hooks     call hooks of external load balancers: programs and HTTP requests
//! ```

pub mod database;
pub mod hooks;
