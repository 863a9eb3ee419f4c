//! The plan: all work of a run as a value. Building one is pure and reads only the named files.
//!
//! ```text
//! options          inputs of a plan, and what the verb and its flags change
//! draft            drafts the plan: needs no artifacts, finds all errors
//! playbook_stages  plays become stages, tasks become steps
//! rotation_stages  stages that only drain or undrain nodes
//! traffic          how nodes are drained, and which other nodes count against a budget
//! plan_draft       the drafted plan
//! finish           creates the plan, once the artifacts are available
//! model            the plan, immutable
//! hooks            hooks of external load balancers, rendered for each node
//! show             a plan as text, without contacting a host
//! ```

mod draft;
mod finish;
pub mod hooks;
pub mod model;
mod options;
mod plan_draft;
mod playbook_stages;
mod rotation_stages;
pub mod show;
mod traffic;

pub use draft::draft;
pub use options::{Disruption, LastStage, PlanInputs, PlanOptions, Source};
pub use plan_draft::PlanDraft;

#[cfg(test)]
mod tests;
