//! The answers to queries. One file per query; its data is in `apim_protocol::query`.

use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;

use crate::operation::support::dialogue::Report;
use crate::system::System;
use observe::Observe;

mod examine;
mod follow;
mod inspect;
mod observe;
pub(crate) mod read_journal;

/// Answers `query`.
pub fn observe(query: &Query, system: &System, report: &mut dyn Report) -> Outcome {
    let observed = match query {
        Query::Inspect(data) => data.as_ref().observe(system, report),
        Query::Examine(data) => data.observe(system, report),
        Query::Follow(data) => data.observe(system, report),
        Query::ReadJournal(data) => data.observe(system, report),
    };
    observed.map_or_else(Outcome::Failed, |seen| Outcome::Observed(Box::new(seen)))
}
