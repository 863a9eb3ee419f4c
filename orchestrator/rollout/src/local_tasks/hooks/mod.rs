//! Calls hooks from this machine for the engine: programs and HTTP requests. The duration and the
//! kept output of each call are bounded.

use std::pin::Pin;

use apim_protocol::outcome::Failure;

use crate::engine::{CallHooks, Refusal};
use apim_product::hook::{Call, Hook};

mod check;
mod command;
mod http;
#[cfg(test)]
mod tests;

pub use check::check;

/// Maximum number of output bytes kept: the last ones.
const KEPT: usize = 16 * 1024;

/// Calls hooks from this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalHooks;

impl CallHooks for LocalHooks {
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

/// Result of a call.
struct Heard {
    /// Success, or the error.
    ended: Result<(), String>,
    /// The last part of the output.
    said: String,
    /// Whether a retry may succeed.
    may_pass: bool,
}

/// Appends output and keeps only the last [`KEPT`] bytes.
fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    let over = kept.len().saturating_sub(KEPT);
    kept.drain(..over);
}
