//! Look at a service and report: nothing is wished for, nothing is changed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::mask;
pub use crate::observation::{Gate, Observation, Served};
use crate::operation::unit::record::Record;
use crate::operation::unit::supervisor::Supervisor;
use crate::operation::wait::examiner::Examiner;
use crate::operation::wait::{Condition, Service};
use crate::operation::{Converge, Dialogue};
use crate::outcome::{Difference, Failure, Outcome};
use crate::probe::served;
use crate::probe::text::shortened;
use crate::system::System;
use crate::value::AbsPath;

/// Look at these things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspect {
    /// The service.
    pub service: Service,
    /// Links whose targets are wanted.
    pub links: Vec<AbsPath>,
    /// Conditions tried once each.
    pub gates: Vec<Condition>,
    /// What the arguments of its process begin with that are wanted.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Ports whose certificates are wanted.
    #[serde(default)]
    pub served: Vec<u16>,
}

impl Inspect {
    /// Looks; what cannot be seen is left out or says so itself.
    pub(crate) fn observe(&self, system: &System) -> Observation {
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
                seen.arguments = main.map(|process| self.wanted(&process.arguments)).unwrap_or_default();
                let memory = status.family.iter().map(|process| process.memory_bytes).sum();
                seen.memory_bytes = main.map(|_| memory);
                let start = record.in_effect(status.since()).filter(|_| status.is_up());
                seen.started_with = start.map(|start| start.inputs.clone()).unwrap_or_default();
            }
            Err(failure) => seen.unit = failure.what,
        }
        seen
    }

    fn wanted(&self, arguments: &[String]) -> Vec<String> {
        let is_wanted = |text: &&String| self.arguments.iter().any(|head| text.starts_with(head.as_str()));
        arguments.iter().filter(is_wanted).take(20).map(|text| shortened(&mask::line(text), 200)).collect()
    }
}

fn certificate(port: u16) -> Served {
    match served::certificate(port) {
        Ok(der) => Served { port, certificate: Some(BASE64.encode(der)), problem: None },
        Err(problem) => Served { port, certificate: None, problem: Some(problem) },
    }
}

/// Nothing is wished for, so nothing can differ; `converge` observes instead of asking.
impl Converge for Inspect {
    fn check(&self, _: &System) -> Result<Option<Difference>, Failure> {
        Ok(None)
    }

    fn apply(&self, system: &System, _: &mut dyn Dialogue, _: &Difference) -> Result<Outcome, Failure> {
        Ok(Outcome::Observed(Box::new(self.observe(system))))
    }
}
