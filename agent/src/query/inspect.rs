//! The state of a service.

use apim_protocol::mask;
use apim_protocol::outcome::Failure;
use apim_protocol::query::inspect::Inspect;
use apim_protocol::value::AbsPath;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;

use crate::operation::support::dialogue::Report;
use crate::operation::unit::record::Record;
use crate::operation::unit::supervisor::Supervisor;
use crate::operation::wait::examiner::Examiner;
use crate::probe::served;
use crate::probe::text::shortened;
use crate::query::observe::Observe;
use crate::system::System;
pub(super) use apim_protocol::observation::{Gate, Observation, Served};
impl Observe for Inspect {
    /// What cannot be seen is left out, or says so itself.
    fn observe(&self, system: &System, _: &mut dyn Report) -> Result<Observation, Failure> {
        let service = &self.service;
        let record = Record::load(system, &service.unit).unwrap_or_default();
        let supervisor = Supervisor::new(system, &service.unit, &service.process);
        let status = supervisor.status(&record);
        let mut examiner = Examiner::new(system);
        let gates = self.gates.iter().map(|condition| {
            let answer = examiner.look(condition);
            Gate { what: condition.words(), holds: answer.holds, answer: answer.text }
        });
        let target = |link: &AbsPath| {
            let target = system.link_target(link).ok().flatten();
            (link.to_string(), target.map(|target| target.display().to_string()))
        };
        let mut seen = Observation {
            gates: gates.collect(),
            certificates: self.served.iter().map(|port| certificate(*port)).collect(),
            links: self.links.iter().map(target).collect(),
            ..Observation::default()
        };
        match status {
            Ok(status) => {
                seen.unit = status.word();
                seen.enabled = status.shown.as_ref().and_then(|shown| shown.is_enabled()).unwrap_or(false);
                seen.restarts = status.shown.as_ref().and_then(|shown| shown.restarts);
                let main = status.own.first().or(status.family.first());
                seen.uptime_secs = main.map(|process| process.uptime().as_secs());
                seen.arguments =
                    main.map(|process| wanted(&self.arguments, &process.arguments)).unwrap_or_default();
                let memory = status.family.iter().map(|process| process.memory_bytes).sum();
                seen.memory_bytes = main.map(|_| memory);
                let start = record.in_effect(status.since()).filter(|_| status.is_up());
                seen.started_with = start.map(|start| start.inputs.clone()).unwrap_or_default();
            }
            Err(failure) => seen.unit = failure.what,
        }
        Ok(seen)
    }
}

/// Returns those of the process's `arguments` that begin with one of `heads`, masked.
fn wanted(heads: &[String], arguments: &[String]) -> Vec<String> {
    let is_wanted = |text: &&String| heads.iter().any(|head| text.starts_with(head.as_str()));
    arguments.iter().filter(is_wanted).take(20).map(|text| shortened(&mask::line(text), 200)).collect()
}

fn certificate(port: u16) -> Served {
    match served::certificate(port) {
        Ok(der) => Served { port, certificate: Some(BASE64.encode(der)), problem: None },
        Err(error) => Served { port, certificate: None, problem: Some(error.to_string()) },
    }
}
