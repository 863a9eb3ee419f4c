//! Runs a plan stage by stage, with one worker per host. Everything that happens is an event.
//!
//! ```text
//! run             connect all > survey all (check mode) > the stages, a barrier after each > close
//! run_state       workers and the result so far; survey: what the survey says about nodes
//! stage           the lanes of a stage in parallel, and the check at the barrier
//! worker          one host: its link, its agent and its result; reopens a lost link
//! lane/           one host's part of a stage: steps sent ahead, replies, permits, content, rescue
//! local_lane      local tasks of a lane, in their order (local_task: the contract)
//! link, wire      opens a session; an open one: requests, content, replies
//! side_session    a session beside the main session of the run
//! permit, budget  which nodes may go down: waiting for a permit, and the pure ledger behind it
//! health          checks the other nodes of a role before one more is taken down
//! traffic         drains a node before it is taken down, undrains it when it is healthy
//! hooks           drains nodes on external load balancers, with a marker on the node's host
//! preflight_gate  the answers of all hosts, between survey and first change
//! cache           selects steps whose survey result stays valid
//! regressed       rolls back nodes that became unhealthy after their release was changed
//! outlines        contents of a zip, for hosts with an earlier release
//! redact          outcomes of tasks with `no_log`
//! ```

mod budget;
mod cache;
mod drained;
pub mod event;
mod health;
mod hooks;
mod lane;
mod link;
mod local_lane;
mod local_task;
mod outlines;
mod permit;
mod preflight_gate;
mod redact;
mod regressed;
mod result;
mod run;
mod run_state;
mod settings;
mod shared;
mod side_session;
mod stage;
mod survey;
mod traffic;
mod wire;
mod worker;

#[cfg(test)]
mod tests;

pub use budget::{Limits, Standing};
pub use local_task::{LocalTask, LocalTaskRunner, UnsupportedTasks};
pub use result::{HostEnd, HostResult, NodeResult, RunResult, Stopped, Tally};
pub use run::run;
pub use settings::{
    CallHooks, Caller, Confirm, Confirming, HostAnswers, Interrupt, Outliner, Outlining, Preflight,
    PreflightResult, PreflightRules, Refusal, Settings, Surveyed, Timeouts,
};
