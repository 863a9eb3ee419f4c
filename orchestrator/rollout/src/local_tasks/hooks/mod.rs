//! Calls hooks from this machine for the engine: programs and HTTP requests. The duration and the
//! kept output of each call are bounded.

use std::pin::Pin;

use apim_protocol::outcome::Failure;

use crate::engine::{CallHooks, Refusal};
use apim_product::hook::{Call, Hook};

mod call;
mod check;
mod command;
mod http;
#[cfg(test)]
mod tests;

pub use check::check;

use call::CallResult;

/// Calls hooks from this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalHooks;

impl CallHooks for LocalHooks {
    fn call<'a>(&'a self, hook: &'a Hook) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>> {
        Box::pin(async move {
            let CallResult { ended, output, may_pass } = match &hook.call {
                Call::Command(program) => command::run(program, hook.timeout_secs).await,
                Call::Http(call) => http::send(call, hook.timeout_secs).await,
            };
            hook.judged(ended, &output).map_err(|failure: Failure| Refusal { failure, may_pass })
        })
    }
}
