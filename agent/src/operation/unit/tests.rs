//! Units without systemd: started, restarted, stopped, with real processes.

use crate::operation::support::dialogue::Report;
use apim_protocol::operation::unit::ProcessMatch;
use apim_protocol::operation::unit::Ready;
use apim_protocol::operation::unit::Script;
use apim_protocol::operation::unit::State;
use apim_protocol::value::AbsPath;
use apim_protocol::value::Content;
use apim_protocol::value::UnitName;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::ReleaseChange;

use super::record::Record;
use super::supervisor::Supervisor;
use super::*;
use crate::operation::converge;
use crate::operation::support::arrival::Arrival;
use crate::probe::process::Process;

mod edited;
mod releases;

/// The orchestrator's side: records what was requested, refuses where configured.
#[derive(Default)]
pub(crate) struct Orchestrator {
    pub(crate) asked: Vec<String>,
    pub(crate) refuses: bool,
    pub(crate) is_cancelled: bool,
    pub(crate) progress: Vec<String>,
}

impl Dialogue for Orchestrator {
    fn content_arriving(&mut self, _: &Content, _: &Arrival) -> Result<PathBuf, Failure> {
        Err(Failure::new("no content in this test"))
    }
    fn permit(&mut self, unit: &UnitName, reason: &str) -> Result<(), Failure> {
        self.asked.push(format!("{unit}: {reason}"));
        if self.refuses { Err(Failure::new("the permit was refused")) } else { Ok(()) }
    }
}

impl Report for Orchestrator {
    fn progress(&mut self, what: &str, _: u64, _: u64) {
        self.progress.push(what.to_owned());
    }

    fn entries(&mut self, _: Vec<apim_protocol::observation::LogEntry>, _: bool) {}

    fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }
}

/// A part of a host with one service in it: a command that starts its server and a helper as children.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    pub(crate) system: System,
}

impl Site {
    /// Makes the site; the server runs `life` (shell text) with the site's own `-Dhome=` in its command line.
    pub(crate) fn new(life: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("srv/app")).unwrap();
        let run = "echo printed by the command\nsh helper.sh &\nsh server.sh -Dhome=$PWD\n";
        fs::write(folder.path().join("srv/app/run.sh"), run).unwrap();
        fs::write(folder.path().join("srv/app/helper.sh"), "while :; do sleep 0.05; done\n").unwrap();
        fs::write(folder.path().join("srv/app/server.sh"), life).unwrap();
        let system = System::new(Some(folder.path().to_owned()), None).unwrap();
        Self { folder, system }
    }

    /// A site whose server runs until it is stopped.
    pub(crate) fn living() -> Self {
        Self::new("echo up >> server.log; while :; do sleep 0.05; done\n")
    }

    pub(crate) fn real(&self, path: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(path)
    }

    pub(crate) fn unit(&self, state: State) -> Unit {
        Unit {
            name: UnitName::parse("app").unwrap(),
            file: None,
            enabled: Some(true),
            state,
            inputs: BTreeMap::from([("configuration".to_owned(), "1".to_owned())]),
            watch: vec![AbsPath::parse("/srv/app/app.conf").unwrap()],
            log: Some(AbsPath::parse("/srv/app/server.log").unwrap()),
            ready: None,
            process: process(),
            stop_timeout_secs: 10,
            ask: true,
            script: Some(Script {
                argv: vec!["/bin/sh".to_owned(), "/srv/app/run.sh".to_owned()],
                directory: Some(AbsPath::parse("/srv/app").unwrap()),
                ..Script::default()
            }),
            release: None,
        }
    }

    pub(crate) fn converge(&self, unit: &Unit, orchestrator: &mut Orchestrator) -> Outcome {
        converge(&Operation::Unit(Box::new(unit.clone())), Mode::Apply, &self.system, orchestrator)
    }

    pub(crate) fn own(&self) -> Vec<Process> {
        Supervisor::new(&self.system, &UnitName::parse("app").unwrap(), &process()).matcher.find()
    }

    pub(crate) fn everything(&self) -> Vec<Process> {
        let name = UnitName::parse("app").unwrap();
        let record = Record::load(&self.system, &name).unwrap();
        Supervisor::new(&self.system, &name, &process()).status(&record).unwrap().family
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(supervisor::end(&self.everything(), std::time::Duration::ZERO));
    }
}

pub(crate) fn process() -> ProcessMatch {
    ProcessMatch { arguments: vec!["server.sh".to_owned(), "-Dhome=/srv/app".to_owned()] }
}

/// Returns the outcome whose statements are `items`.
fn changed(items: &[&str]) -> Outcome {
    let mut changes = Vec::new();
    let mut reasons = Vec::new();
    for item in items {
        if let Some((from, to)) = item.strip_prefix("release ").and_then(|names| names.split_once(" -> ")) {
            changes.push(ReleaseChange { from: from.into(), to: to.into() }.into());
        } else if let Some(reason) = item.strip_prefix("restart: ") {
            reasons.push(reason.to_owned());
        } else {
            changes.extend(restart(&mut reasons));
            changes.push(Change::from(*item));
        }
    }
    changes.extend(restart(&mut reasons));
    Outcome::Changed(Difference::of(changes))
}

fn restart(reasons: &mut Vec<String>) -> Option<Change> {
    let reasons = std::mem::take(reasons);
    (!reasons.is_empty()).then_some(Change::Restart { reasons })
}

#[test]
fn a_service_is_started_once_and_the_second_apply_changes_nothing() {
    let site = Site::living();
    let mut orchestrator = Orchestrator::default();
    assert_eq!(site.converge(&site.unit(State::Started), &mut orchestrator), changed(&["start"]));
    let first = site.own();
    assert_eq!(first.len(), 1);
    assert_eq!(site.converge(&site.unit(State::Started), &mut orchestrator), Outcome::Ok);
    assert_eq!(site.own().first().map(|p| p.pid), first.first().map(|p| p.pid));
    assert!(orchestrator.asked.is_empty());
}

#[test]
fn other_inputs_restart_it_with_leave_and_name_the_reason() {
    let site = Site::living();
    let mut orchestrator = Orchestrator::default();
    site.converge(&site.unit(State::Started), &mut orchestrator);
    let before = site.own();
    let mut unit = site.unit(State::Started);
    unit.inputs =
        [("configuration", "2"), ("keystores", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    assert_eq!(
        site.converge(&unit, &mut orchestrator),
        changed(&["restart: configuration, keystores changed"])
    );
    assert_eq!(orchestrator.asked, ["app: restart: configuration, keystores changed"]);
    assert_ne!(site.own().first().map(|p| p.pid), before.first().map(|p| p.pid));
    assert_eq!(site.converge(&unit, &mut orchestrator), Outcome::Ok);
}

#[test]
fn details_of_one_input_stand_together() {
    let site = Site::living();
    let mut orchestrator = Orchestrator::default();
    site.converge(&site.unit(State::Started), &mut orchestrator);
    let mut unit = site.unit(State::Started);
    let labels = ["conf: a", "conf: b", "conf: c", "conf: d", "conf: e", "conf: f", "keystores"];
    unit.inputs.extend(labels.map(|label| (label.to_owned(), "1".to_owned())));
    assert_eq!(
        site.converge(&unit, &mut orchestrator),
        changed(&["restart: conf (a, b, c, d and 2 more), keystores changed"])
    );
}

#[test]
fn without_leave_nothing_is_touched_and_the_restart_stays_due() {
    let site = Site::living();
    let mut orchestrator = Orchestrator::default();
    site.converge(&site.unit(State::Started), &mut orchestrator);
    let before = site.own();
    let mut unit = site.unit(State::Started);
    unit.inputs.clear();
    orchestrator.refuses = true;
    assert!(site.converge(&unit, &mut orchestrator).is_failure());
    assert_eq!(site.own().first().map(|p| p.pid), before.first().map(|p| p.pid));
    assert!(unit.check(&site.system).unwrap().difference().is_some());
}

#[test]
fn stopping_takes_the_helper_along_and_a_stopped_service_stays_stopped() {
    let site = Site::living();
    let mut orchestrator = Orchestrator::default();
    site.converge(&site.unit(State::Started), &mut orchestrator);
    assert!(site.everything().len() >= 3, "command, server and helper");
    assert_eq!(site.converge(&site.unit(State::Stopped), &mut orchestrator), changed(&["stop"]));
    assert!(site.own().is_empty() && site.everything().is_empty());
    assert_eq!(site.converge(&site.unit(State::Stopped), &mut orchestrator), Outcome::Ok);
}

#[test]
fn a_service_that_is_to_be_gone_is_stopped_and_its_starts_are_forgotten() {
    let site = Site::living();
    let mut orchestrator = Orchestrator::default();
    site.converge(&site.unit(State::Started), &mut orchestrator);
    assert_eq!(site.converge(&site.unit(State::Gone), &mut orchestrator), changed(&["stop"]));
    assert!(site.own().is_empty() && site.everything().is_empty());
    let record = record::Record::load(&site.system, &site.unit(State::Gone).name).unwrap();
    assert_eq!(record, record::Record::default());
    assert_eq!(site.converge(&site.unit(State::Gone), &mut orchestrator), Outcome::Ok);
}

#[test]
fn a_service_that_ignores_term_is_killed_and_that_is_said() {
    let site = Site::new("trap '' TERM; echo up > ready; while :; do sleep 0.05; done\n");
    let mut orchestrator = Orchestrator::default();
    let mut unit = site.unit(State::Started);
    unit.stop_timeout_secs = 1;
    site.converge(&unit, &mut orchestrator);
    while !site.real("srv/app/ready").exists() {
        std::thread::yield_now();
    }
    unit.state = State::Stopped;
    let outcome = site.converge(&unit, &mut orchestrator);
    assert_eq!(outcome, changed(&["stop", "ended with KILL, because it did not stop within 1 s"]));
    assert!(site.own().is_empty());
}

#[test]
fn a_service_that_ends_at_once_fails_with_what_it_printed() {
    let site = Site::new("echo the password=hunter2 is wrong; exit 1\n");
    fs::write(site.real("srv/app/run.sh"), "sh server.sh\n").unwrap();
    let Outcome::Failed(failure) = site.converge(&site.unit(State::Started), &mut Orchestrator::default())
    else {
        panic!("it did not fail");
    };
    assert!(failure.what.contains("ended right after its start"), "{}", failure.what);
    assert_eq!(failure.log, ["the password=**** is wrong"]);
}

#[test]
fn foreign_start_is_taken_over_by_a_restart() {
    let site = Site::living();
    let mut by_hand = Command::new("sh")
        .args(["server.sh", &format!("-Dhome={}", site.real("srv/app").display())])
        .current_dir(site.real("srv/app"))
        .spawn()
        .unwrap();
    let mut orchestrator = Orchestrator::default();
    let outcome = site.converge(&site.unit(State::Started), &mut orchestrator);
    by_hand.wait().unwrap();
    assert_eq!(outcome, changed(&["restart: not started by apim-deploy"]));
    assert_eq!(site.own().len(), 1);
}

#[test]
fn a_start_that_was_cut_off_before_it_took_effect_leaves_the_restart_due() {
    let site = Site::living();
    let mut orchestrator = Orchestrator::default();
    site.converge(&site.unit(State::Started), &mut orchestrator);
    let mut unit = site.unit(State::Started);
    unit.inputs = BTreeMap::from([("configuration".to_owned(), "2".to_owned())]);
    let mut record = Record::load(&site.system, &unit.name).unwrap();
    let mut cut_off = record.started.clone().unwrap();
    cut_off.inputs.extend(unit.inputs.clone());
    cut_off.at.since_boot_millis += 3_600_000;
    record.starting = Some(cut_off.clone());
    record.save(&site.system, &unit.name).unwrap();
    let due = unit.check(&site.system).unwrap().difference().map(|difference| difference.statements());
    assert_eq!(due, Some(vec!["restart: configuration changed".to_owned()]));
    // and when the process is younger than the start that was cut off, it took effect
    cut_off.at = record.started.clone().unwrap().at;
    record.starting = Some(cut_off);
    record.save(&site.system, &unit.name).unwrap();
    assert_eq!(unit.check(&site.system).unwrap(), Finding::UpToDate);
}

#[test]
fn stuck_start_is_restarted_and_complete_one_is_not() {
    let site =
        Site::new("[ -e stuck ] && echo up >> server.log; touch stuck; while :; do sleep 0.05; done\n");
    let mut orchestrator = Orchestrator::default();
    let ready = |within_secs| Some(Ready { pattern: "^up$".to_owned(), within_secs });
    let unit = Unit { ready: ready(0), ..site.unit(State::Started) };
    site.converge(&unit, &mut orchestrator);
    while !site.real("srv/app/stuck").exists() {
        std::thread::yield_now();
    }
    let patient = Unit { ready: ready(3600), ..unit.clone() };
    assert_eq!(patient.check(&site.system).unwrap(), Finding::UpToDate, "it may yet come to it");
    let Outcome::Changed(difference) = site.converge(&unit, &mut orchestrator) else { panic!() };
    let statements = difference.statements();
    let [item] = statements.as_slice() else { panic!("{difference:?}") };
    assert!(item.starts_with("restart: its last start is stuck: "), "{item}");
    assert_eq!(orchestrator.asked.len(), 1);
    let log = site.real("srv/app/server.log");
    while fs::read_to_string(&log).unwrap_or_default().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(unit.check(&site.system).unwrap(), Finding::UpToDate);
    // A log that was cut says nothing about how the start went.
    fs::remove_file(&log).unwrap();
    fs::write(&log, "").unwrap();
    assert_eq!(unit.check(&site.system).unwrap(), Finding::UpToDate);
}

#[test]
fn unchanged_leaves_a_due_restart_alone() {
    let site = Site::living();
    let mut orchestrator = Orchestrator::default();
    site.converge(&site.unit(State::Started), &mut orchestrator);
    let mut unit = site.unit(State::Unchanged);
    unit.inputs.clear();
    assert_eq!(site.converge(&unit, &mut orchestrator), Outcome::Ok);
    unit.state = State::Started;
    assert!(unit.check(&site.system).unwrap().difference().is_some());
}
