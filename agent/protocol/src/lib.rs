//! apim-protocol: the contract between orchestrator and agent. Plain data, frames and messages; knows Unix, and no product.
//!
//! ```text
//! agent:         MAGIC  Hello{build, facts}            (or Refused, and exits)
//! orchestrator:  Run* …                                (sent ahead; run in order)
//! agent:         Started  Progress*  Entries*  Outline  Need  NeedParts  PermitRequest  Finished …
//! orchestrator:  Outline (after Outline)  Chunk* (after Need, NeedParts)  PermitDecision (after PermitRequest)  Cancel  Goodbye
//! ```
//!
//! Both ends are of one build: the build id is in the agent's path and in Hello. After a step that failed to apply (a failed check
//! stops nothing) the agent answers every later step with `Skipped` until `Resume`. A check may ask for content too: for the diff of a
//! text that exists and differs. After the first `Alive`, silence for the time that it names counts as the end of the input. When its
//! input ends the agent finishes the step in progress, writes the journal, and exits.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]
#![deny(clippy::print_stdout)]

pub mod chain;
pub mod facts;
pub mod frame;
pub mod mask;
pub mod message;
pub mod observation;
pub mod operation;
pub mod outcome;
pub mod query;
pub mod value;
