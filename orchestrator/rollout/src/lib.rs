//! Plans, the engine that runs them, and the local tasks, probes and downloads of a run.
//!
//! ```text
//! plan         builds a plan from inventory, playbook and cluster
//! saved_plan   a plan as a file, applied exactly as shown
//! engine       runs a plan: one worker per host, every change an event
//! local_tasks  work on the control machine: databases, hooks of external load balancers
//! probe        availability probes during a run
//! artifact     downloads and verifies distributions and drivers
//! http         the HTTP client of downloads, hooks and probes
//! state        the user's private state folder
//! ```

pub mod artifact;
pub mod engine;
pub mod http;
pub mod local_tasks;
pub mod plan;
pub mod probe;
pub mod saved_plan;
pub mod state;
