//! The conversation between orchestrator and agent, over any byte stream.
//!
//! ```text
//! agent:         MAGIC  Hello{build, facts}            (or Refused, and leaves)
//! orchestrator:  Run* …                                (sent ahead; run in order)
//! agent:         Started  Progress*  Need  Ask  Finished …
//! orchestrator:  Chunk* (after Need)  Leave (after Ask)  Cancel  Goodbye
//! ```
//!
//! Both ends are of one build: the build id is in the agent's path and in Hello. After a failed step the agent answers every
//! later step with `Skipped` until `Resume`. When its input ends it finishes the step in hand, writes the journal, and leaves.

pub mod frame;
pub mod message;
