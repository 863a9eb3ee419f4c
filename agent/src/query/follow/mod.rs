//! The end of a log, and what is added to it: reported entry by entry, only those that match, bounded whatever is written there.

use apim_protocol::observation::Observation;
use apim_protocol::outcome::Failure;
use apim_protocol::query::follow::{Follow, Log};
use regex::{Regex, RegexBuilder};

use crate::operation::support::dialogue::Report;
use crate::probe::stamp;
use crate::probe::tail::Selection;
use crate::query::examine::machine;
use crate::query::observe::Observe;
use crate::system::System;
use teller::Teller;

mod file;
mod journal;
mod teller;
#[cfg(test)]
mod tests;

/// A compiled pattern may take so many bytes.
const PATTERN_LIMIT: usize = 1024 * 1024;
/// The most existing entries that are reported.
const MOST: u32 = 20_000;

impl Observe for Follow {
    fn observe(&self, system: &System, report: &mut dyn Report) -> Result<Observation, Failure> {
        let selection = selection(self, system)?;
        let mut teller = Teller::new(report);
        match &self.log {
            Log::File { folder, name } => {
                file::tell(system, (folder, name), &selection, (self.goes_on, &mut teller))?;
            }
            Log::Journal(unit) => journal::tell(system, unit, &selection, (self.goes_on, &mut teller))?,
        }
        teller.flush();
        Ok(Observation::default())
    }
}

fn selection(follow: &Follow, system: &System) -> Result<Selection, Failure> {
    let compile = |pattern: &String| -> Result<Regex, Failure> {
        let built = RegexBuilder::new(pattern).size_limit(PATTERN_LIMIT).build();
        built.map_err(|error| Failure::new(format!("`{pattern}` cannot be looked for: {error}")))
    };
    Ok(Selection {
        last: follow.last.unwrap_or(MOST).min(MOST) as usize,
        since: follow.since,
        matching: follow.matching.as_ref().map(compile).transpose()?,
        zone_secs: stamp::zone_secs(&machine::zone(system)).unwrap_or(0),
    })
}
