//! The conversation between orchestrator and agent, over any byte stream.
//!
//! ```text
//! agent:         MAGIC  Hello{build, facts}            (or Refused, and leaves)
//! orchestrator:  Run* …                                (sent ahead; run in order)
//! agent:         Started  Progress*  Entries*  Outline  Need  NeedParts  Ask  Finished …
//! orchestrator:  Outline (after Outline)  Chunk* (after Need, NeedParts)  Leave (after Ask)  Cancel  Goodbye
//! ```
//!
//! Both ends are of one build: the build id is in the agent's path and in Hello. After a step that failed to apply (a
//! failed look stops nothing) the agent answers every later step with `Skipped` until `Resume`. A look may ask for content too: for a
//! diff of a text that is there and differs. Once `Alive` was heard, silence for the time it names counts as the end of the input. When its input ends it finishes the step in hand, writes the journal, and leaves.

pub mod frame;
pub mod message;
