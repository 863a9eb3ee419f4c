//! What a successful wait records: the service is healthy, from which release, and with which files.

use apim_protocol::operation::revert::Proved;
use apim_protocol::operation::wait::{Condition, Wait};

use crate::operation::unit::record::{self, Record};
use crate::operation::unit::releases::Releases;
use crate::operation::unit::supervisor;
use crate::system::System;

/// Keeps in mind that the service is healthy: from the release that it runs from, and with the files that it has read.
pub(super) fn note_up(wait: &Wait, system: &System) {
    let Some(service) = &wait.service else { return };
    let Ok(record) = Record::load(system, &service.unit) else { return };
    let running = supervisor::matcher(system, &service.process).find();
    let start = record.in_effect(running.iter().map(|process| process.started).min());
    // Without the notes it is only not known.
    if let Some(folder) = start.and_then(|start| start.release.as_ref()) {
        let proved = if wait.settle_secs > 0 { Proved::Settled } else { Proved::Up };
        drop(Releases::note_up(system, &service.unit, (folder, proved)));
    }
    let said_so = |condition: &Condition| matches!(condition, Condition::Logged { since_start_of, .. } if *since_start_of == service.unit);
    if wait.conditions.iter().any(said_so) {
        drop(record::note_up(system, &service.unit, &running));
    }
}
