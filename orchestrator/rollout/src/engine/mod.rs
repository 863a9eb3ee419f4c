//! Runs a plan stage by stage, with one worker per host. Everything that happens is an event.
//!
//! ```text
//! run        connect all > survey all (check mode) > the stages, a barrier after each > close
//! worker     one host: its link, its agent and its result; reopens a lost link
//! stage      the lanes of a stage in parallel, and the check at the barrier
//! lane       one session: steps sent ahead, replies; asking (for permits), giving (content),
//!            ending (of a step), deadline, rescue
//! errand     local tasks, in their order
//! outlines   contents of a zip, for hosts with an earlier release; created by the caller
//! wire       an open link: requests, content, replies
//! judgement  preflight gate: the answers of all hosts, between survey and first change
//! settled    selects steps whose survey result stays valid
//! fallen     rolls back nodes that became unhealthy after their release was changed
//! peers      checks the other nodes of a role before one more is taken down
//! beside     side sessions in parallel to the main session of the run
//! rotation   drains a node before it is taken down, undrains it when it is healthy
//! hooks      drains nodes on external load balancers, with a marker on the node's host
//! hidden     redacts outcomes of tasks with `no_log`
//! budget     which nodes may go down (a pure ledger); leave: waiting for a permit
//! ```

mod beside;
mod budget;
mod errand;
pub mod event;
mod fallen;
mod hidden;
mod hooks;
mod judgement;
mod lane;
mod leave;
mod outlines;
mod peers;
mod result;
mod rotation;
mod run;
mod settings;
mod settled;
mod stage;
mod wire;
mod worker;

#[cfg(test)]
mod tests;

pub use budget::{Limits, Standing};
pub use errand::{Errand, Errands, NoErrands};
pub use result::{HostEnd, HostResult, NodeResult, RunResult, Stopped, Tally};
pub use run::run;
pub use settings::{
    CallHooks, Caller, Confirm, Confirming, Interrupt, Judge, Judging, Outliner, Outlining, Patience,
    Refusal, Settings, Surveyed, Testimony, Verdict,
};
