//! Calls hooks from this machine, for the engine: programs, and requests over HTTP. Each call is bounded in time and in what is kept of
//! what was said.

use std::pin::Pin;

use apim_protocol::outcome::Failure;

use crate::apim::hook::{Call, Hook};
use crate::engine::{CallHooks, Refusal};

mod command;
mod http;
mod look;
#[cfg(test)]
mod tests;

pub use look::look;

/// So many bytes of what was said are kept: the last ones.
const KEPT: usize = 16 * 1024;

/// Calls hooks from this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct FromHere;

impl CallHooks for FromHere {
    fn call<'a>(&'a self, hook: &'a Hook) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>> {
        Box::pin(async move {
            let Heard { ended, said, may_pass } = match &hook.call {
                Call::Command(program) => command::run(program, hook.timeout_secs).await,
                Call::Http(call) => http::send(call, hook.timeout_secs).await,
            };
            hook.judged(ended, &said).map_err(|failure: Failure| Refusal { failure, may_pass })
        })
    }
}

/// What became of a call.
struct Heard {
    /// How it ended; an error in words.
    ended: Result<(), String>,
    /// The end of what it said.
    said: String,
    /// Whether a failure may pass by itself.
    may_pass: bool,
}

/// Keeps the end of what comes in.
fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    let over = kept.len().saturating_sub(KEPT);
    kept.drain(..over);
}
