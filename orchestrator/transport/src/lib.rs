//! From this machine to a host: how a host is reached, SSH, sessions with the agent, queries outside a plan.

pub mod failure;
pub mod host;
pub mod query;
pub mod session;
pub mod ssh;
