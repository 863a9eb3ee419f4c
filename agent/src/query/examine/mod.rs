//! Typed questions about a host, and its bounded answers, not judged here.

use apim_protocol::observation::{Answer, Observation};
use apim_protocol::outcome::Failure;
use apim_protocol::query::examine::Examine;

use crate::operation::support::dialogue::Report;
use crate::query::observe::Observe;
use crate::system::System;

mod answers;
pub(super) mod machine;
mod names;
mod network;
#[cfg(test)]
mod tests;

impl Observe for Examine {
    fn observe(&self, system: &System, _: &mut dyn Report) -> Result<Observation, Failure> {
        let mut asked = answers::Asked::new(system);
        let answers: Vec<Answer> = self.questions.iter().map(|question| asked.answer(question)).collect();
        Ok(Observation { answers, ..Observation::default() })
    }
}
