//! The use cases: what the verbs do. `cli` parses flags into requests, `report` renders results.
//!
//! ```text
//! rollout          runs a plan, as a list of phases
//! query            asks hosts outside a plan
//! read, inputs     the input files; issue, pki_store: the certificates
//! saved_plan       `plan --out` and `apply --plan`; record: the records of runs
//! verb             the policy of each verb
//! exit             exit codes and messages
//! ```
//!
//! The other files are use cases of one verb each.

pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod certs;
mod confirm;
mod connect;
pub(crate) mod databases;
pub(crate) mod diff;
mod disruption;
pub(crate) mod exit;
pub(crate) mod graph;
pub(crate) mod history;
pub(crate) mod init;
mod inputs;
mod installed;
pub(crate) mod inventory;
mod issue;
pub(crate) mod node_actions;
pub(crate) mod options;
mod pki_store;
pub(crate) mod plan;
pub(crate) mod preflight;
mod preflight_gate;
mod probe;
mod process;
pub(crate) mod query;
mod read;
mod record;
mod release_changes;
pub(crate) mod remove;
pub(crate) mod render;
mod render_manifest;
pub(crate) mod rollback;
pub(crate) mod rollout;
mod saved_plan;
mod secret_files;
mod target_version;
pub(crate) mod upgrade;
pub(crate) mod validate;
mod verb;
