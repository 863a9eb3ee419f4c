//! Runs a plan, stage by stage, one worker per host; everything that happens is an event.
//!
//! ```text
//! run      connect all > survey all (check mode) > stage after stage, a barrier behind each > goodbye
//! worker   one host: its link, its agent, what became of it; makes a lost link anew
//! stage    its lanes in parallel, and the judgement at the barrier
//! lane     one conversation: steps sent ahead, replies; asking (for leave), giving (of content), ending (of a step), deadline
//! errand   what the orchestrator does itself for a host, in its turn
//! outlines what is in a zip, for hosts that have much of it already; made by somebody else
//! wire     a link in use: what is sent, what is heard
//! judgement  what all hosts answered together, between survey and first change: somebody else says what it means
//! fallen   who went to another release, was healthy, and did not stay so, is brought back
//! peers    the other nodes of a role: are they still healthy, before one more is taken down
//! beside   a short conversation beside the run's own
//! rotation a node is taken out of the load balancers before it is taken down, and put back when it is healthy
//! hooks    load balancers that somebody else sees to are told, and it is kept on the node's host that they were
//! budget   who may take a node down (a pure ledger); leave: waiting for it
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
