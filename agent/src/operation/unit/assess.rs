//! How a unit differs from its desired state.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::time::Duration;

use apim_protocol::operation::unit::{State, Unit};
use apim_protocol::outcome::{Change, Failure, ReleaseChange};
use apim_protocol::value::{AbsPath, FileMode, Sha256};
use regex::Regex;

use super::record::{Record, Start};
use super::supervisor::{Status, Supervisor};
use super::{release, systemd};
use crate::operation::support::edited;
use crate::probe::clock::since_boot;
use crate::probe::log;
use crate::probe::log::Reader;
use crate::probe::process::Process;
use crate::system::{Kind, System};

/// Everybody may read a unit file: it holds no secret, and systemd warns of other modes.
pub(super) const UNIT_FILE_MODE: FileMode = FileMode::new(0o644);
/// A unit that has been up for longer than this without its own process has lost it: nothing starts that slowly.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// What has to be done.
#[derive(Debug)]
pub(super) struct Assessment {
    pub(super) file: Option<&'static str>,
    pub(super) reload: bool,
    pub(super) enable: Option<bool>,
    pub(super) moved: Option<ReleaseChange>,
    /// Whether the link to the release in use names another one, or none.
    pub(super) turn: bool,
    pub(super) action: Action,
    pub(super) status: Status,
    pub(super) record: Record,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    Start,
    /// And why, each on its own.
    Restart(Vec<String>),
    Stop,
}

impl Assessment {
    /// Returns what has to change; empty when the unit is up to date.
    pub(super) fn changes(&self) -> Vec<Change> {
        let starts = matches!(self.action, Action::Start | Action::Restart(_));
        let moved = self.moved.iter().filter(|_| starts);
        let mut changes: Vec<Change> = moved.cloned().map(Change::Release).collect();
        changes.extend(self.file.map(Change::from));
        if self.reload && self.file.is_none() {
            changes.push("reload: systemd holds an older unit file".into());
        }
        changes.extend(self.enable.map(|wanted| if wanted { "enable".into() } else { "disable".into() }));
        match &self.action {
            Action::Nothing if self.turn => changes.push("the link to the release in use".into()),
            Action::Nothing => {}
            Action::Start => changes.push("start".into()),
            Action::Restart(reasons) => changes.push(Change::Restart { reasons: reasons.clone() }),
            Action::Stop => changes.push("stop".into()),
        }
        if self.action == Action::Stop {
            let strays = self.status.strays.iter();
            changes.extend(
                strays.map(|stray| format!("stop {}, started outside apim-deploy", stray.label()).into()),
            );
        }
        changes
    }
}

/// Looks at the unit and says what has to be done.
pub(super) fn assess(unit: &Unit, system: &System) -> Result<Assessment, Failure> {
    let supervisor = Supervisor::new(system, &unit.name, &unit.process);
    let record = Record::load(system, &unit.name)?;
    let status = supervisor.status(&record)?;
    let moved = unit.release.as_ref().map(|release| release::moved(release, system)).transpose()?.flatten();
    // As long as another release is in use, its unit file stays: a service that falls over must come back as it was.
    let stays = unit.state == State::Unchanged && moved.is_some();
    let file = match (system.has_systemd() && !stays, unit.state) {
        (false, _) => None,
        (true, State::Gone) => assess_removal(unit, system, &record)?,
        (true, _) => assess_file(unit, system)?,
    };
    let shown = status.shown.as_ref();
    let enable = unit.enabled.filter(|wanted| {
        let is = shown.and_then(systemd::Shown::is_enabled);
        // a file that is yet to be installed is not enabled, whatever stood there before
        is.is_some_and(|is| is != *wanted)
    });
    let action = match unit.state {
        State::Unchanged => Action::Nothing,
        State::Running if status.is_up() => Action::Nothing,
        State::Running => Action::Start,
        State::Stopped | State::Gone if status.is_down() && status.strays.is_empty() => Action::Nothing,
        State::Stopped | State::Gone => Action::Stop,
        State::Started => assess_start(unit, system, &status, &record)?,
    };
    let reload = shown.is_some_and(|shown| shown.needs_reload) && unit.file.is_some() && !stays;
    let turn = unit.state == State::Started && must_turn(unit, system)?;
    Ok(Assessment { file, reload, enable, moved, turn, action, status, record })
}

fn must_turn(unit: &Unit, system: &System) -> Result<bool, Failure> {
    let Some(release) = &unit.release else { return Ok(false) };
    Ok(release::used(release, system)?.as_ref() != Some(&release.folder))
}

fn assess_removal(unit: &Unit, system: &System, record: &Record) -> Result<Option<&'static str>, Failure> {
    let path = systemd::unit_file(&unit.name)?;
    if system.stat(&path)?.is_none_or(|found| found.kind != Kind::File) {
        return Ok(None);
    }
    let is_as_written = unit.file.map(|content| content.sha256) == system.digest(&path)?;
    Ok((is_as_written || record.last().is_some()).then_some("remove unit file"))
}

fn assess_file(unit: &Unit, system: &System) -> Result<Option<&'static str>, Failure> {
    let Some(content) = &unit.file else { return Ok(None) };
    let path = systemd::unit_file(&unit.name)?;
    Ok(match system.stat(&path)? {
        None => Some("install unit file"),
        Some(stat) if stat.kind != Kind::File => {
            let what =
                format!("the unit file {path} cannot be installed: {} exists there", stat.kind.words());
            return Err(Failure::new(what).hint("`systemctl unmask` or move it away, then run again"));
        }
        Some(_) if system.digest(&path)? != Some(content.sha256) => Some("unit file changed"),
        Some(stat) if stat.mode != UNIT_FILE_MODE => Some("unit file mode changed"),
        Some(_) => None,
    })
}

fn assess_start(unit: &Unit, system: &System, status: &Status, record: &Record) -> Result<Action, Failure> {
    if !status.strays.is_empty() {
        return Err(stray(unit, &status.strays));
    }
    if !status.is_up() {
        return Ok(Action::Start);
    }
    let mut reasons = Vec::new();
    let effective = record.in_effect(status.since());
    match effective {
        None => reasons.push("not started by apim-deploy".to_owned()),
        Some(start) => {
            let labels = start.differing(&all_inputs(unit, system));
            if !labels.is_empty() {
                reasons.push(format!("{} changed", in_words(&labels)));
            }
            reasons.extend(start.hopeless.iter().map(|why| format!("its last start failed for good: {why}")));
        }
    }
    let edited = edits(unit, system, status, effective)?;
    reasons.extend(edited.iter().map(|path| format!("{path} was edited manually")));
    let has_process = unit.process.arguments.is_empty() || !status.own.is_empty();
    if reasons.is_empty() && !has_process && up_for(&status.family) > LOST_AFTER {
        reasons.push("its own process is gone, only its helpers live".to_owned());
    }
    if reasons.is_empty() && has_process {
        reasons.extend(effective.map(|start| stuck(unit, system, status, start)).transpose()?.flatten());
    }
    Ok(if reasons.is_empty() { Action::Nothing } else { Action::Restart(reasons) })
}

/// Says how a start is stuck that should have come to its end long ago. Where the log does not hold all that was written
/// since, nothing is said.
fn stuck(unit: &Unit, system: &System, status: &Status, start: &Start) -> Result<Option<String>, Failure> {
    let (Some(ready), Some(log)) = (&unit.ready, &unit.log) else { return Ok(None) };
    let up = up_for(&status.own);
    if up <= Duration::from_secs(ready.within_secs) || start.passed.contains(&ready.pattern) {
        return Ok(None);
    }
    let line = Regex::new(&ready.pattern).map_err(|error| {
        Failure::from_error(format!("the line by which {} says that it is up", unit.name), &error)
    })?;
    let log = system.resolve(log);
    let mut reader = Reader::since(&log, &start.mark);
    let mut is_said = false;
    let read = reader.poll(&mut |text| {
        is_said = line.is_match(text);
        if is_said { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    // A log that was taken away, or another one than that of the start, proves nothing.
    let holds_all = match (start.mark.inode, log::age(&log)) {
        (Some(_), age) => age.is_ok() && reader.is_complete(),
        (None, Ok(age)) => up.saturating_sub(age) <= Duration::from_secs(ready.within_secs),
        (None, Err(error)) => error.kind() == ErrorKind::NotFound,
    };
    let is_stuck = read.is_ok() && !is_said && holds_all;
    let since = up.as_secs();
    Ok(is_stuck.then(|| format!("its last start is stuck: up for {since} s without the expected log line")))
}

/// Returns the files that the running service may have read with a manual edit.
fn edits(
    unit: &Unit,
    system: &System,
    status: &Status,
    effective: Option<&Start>,
) -> Result<Vec<AbsPath>, Failure> {
    let since = status.since();
    let mut edited = Vec::new();
    for path in &unit.watch {
        if effective.is_some_and(|start| start.reading.has_read(path, &status.own)) {
            continue;
        }
        let was_edited = edited::put_right(system, path)?
            .is_some_and(|at| since.is_none_or(|since| !at.is_before_start(since)));
        if was_edited || edited::says_otherwise(system, path)? {
            edited.push(path.clone());
        }
    }
    Ok(edited)
}

/// Returns the desired inputs, with the unit file or the start command.
pub(super) fn all_inputs(unit: &Unit, system: &System) -> BTreeMap<String, String> {
    let mut inputs = unit.inputs.clone();
    if system.has_systemd() {
        let digest = unit.file.as_ref().map(|content| content.sha256.to_string());
        inputs.extend(digest.map(|digest| ("unit file".to_owned(), digest)));
    } else if let Some(bytes) = unit.script.as_ref().and_then(|script| serde_json::to_vec(script).ok()) {
        inputs.insert("start command".to_owned(), Sha256::of(&bytes).to_string());
    }
    inputs
}

fn stray(unit: &Unit, strays: &[Process]) -> Failure {
    let labels: Vec<String> = strays.iter().map(Process::label).collect();
    let what = format!(
        "{} is not started a second time: it runs already outside of its unit, as {}",
        unit.name,
        labels.join(", ")
    );
    let pids: Vec<String> = strays.iter().map(|stray| stray.pid.to_string()).collect();
    Failure::new(what).hint(format!("end it (`kill {}`) once it may go down, then run again", pids.join(" ")))
}

/// How many details of one thing are shown.
const DETAILS: usize = 4;

/// Returns labels in words; those of the form `thing: detail` stand together, as `thing (detail, detail)`.
fn in_words(labels: &[String]) -> String {
    let mut things: Vec<(&str, Vec<&str>)> = Vec::new();
    for label in labels {
        let (thing, detail) = label.split_once(": ").map_or((label.as_str(), None), |(a, b)| (a, Some(b)));
        match things.iter_mut().find(|(known, _)| *known == thing) {
            Some((_, details)) => details.extend(detail),
            None => things.push((thing, detail.into_iter().collect())),
        }
    }
    let words = things.into_iter().map(|(thing, details)| match details.len() {
        0 => thing.to_owned(),
        1..=DETAILS => format!("{thing} ({})", details.join(", ")),
        more => {
            let told = details.get(..DETAILS).unwrap_or_default().join(", ");
            format!("{thing} ({told} and {} more)", more - DETAILS)
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

pub(super) fn up_for(processes: &[Process]) -> Duration {
    processes
        .iter()
        .map(|process| process.started)
        .max()
        .map_or(Duration::ZERO, |at| since_boot().saturating_sub(at))
}
