//! Plans and the engine that runs them, with the tasks that run on this machine: databases, load balancer hooks, probes, downloads.

pub mod artifact;
pub mod binding;
pub mod database;
pub mod engine;
pub mod hooks;
pub mod http;
pub mod plan;
pub mod probing;
pub mod state;
