//! Bringing about what an assessment found: the service goes down and comes up once, whatever the number of reasons.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use apim_protocol::operation::revert::Proved;
use apim_protocol::operation::unit::{State, Unit};
use apim_protocol::outcome::Failure;

use super::assess::{Action, Assessment, UNIT_FILE_MODE, all_inputs, up_for};
use super::reading::Reading;
use super::record::{Record, Start};
use super::releases::Releases;
use super::supervisor::{Status, Stopped, Supervisor};
use super::{release, supervisor, systemd};
use crate::operation::support::dialogue::Dialogue;
use crate::probe::clock::Moment;
use crate::system::{Attributes, Bytes, Ids, System};

/// Does what `assessment` says; returns what is worth telling besides.
pub(super) fn bring_about(
    unit: &Unit,
    system: &System,
    dialogue: &mut dyn Dialogue,
    assessment: Assessment,
) -> Result<Vec<String>, Failure> {
    // Fetched first: nothing is awaited from the other side while the service is down.
    let is_gone = unit.state == State::Gone;
    let removes = is_gone && assessment.file.is_some();
    let text = match unit.file.as_ref().filter(|_| assessment.file.is_some() && !is_gone) {
        Some(content) => Some(dialogue.content(content)?),
        None => None,
    };
    let supervisor = Supervisor::new(system, &unit.name, &unit.process);
    let told = match &assessment.action {
        Action::Nothing => {
            install(unit, system, &assessment, text.as_deref())?;
            if let Some(release) = unit.release.as_ref().filter(|_| assessment.turn) {
                system.link(&release.link, release.folder.as_str().as_ref())?;
            }
            Ok(Vec::new())
        }
        Action::Start => {
            let mut told = Vec::new();
            let status = &assessment.status;
            if !status.family.is_empty() || status.shown.as_ref().is_some_and(|shown| !shown.is_down()) {
                told.extend(stop_service(unit, &supervisor, status, dialogue)?);
            }
            told.extend(carry_over(unit, system, dialogue)?);
            change_over(unit, system, &assessment, text.as_deref())?;
            start_service(unit, &supervisor, assessment.record)?;
            Ok(told)
        }
        Action::Restart(reasons) => {
            let status = &assessment.status;
            let moved = assessment.moved.iter().map(ToString::to_string);
            let reasons: Vec<String> = moved.chain(reasons.iter().cloned()).collect();
            require_release(unit, system)?;
            request_permit(unit, dialogue, status, &format!("restart: {}", reasons.join("; ")))?;
            note_up(unit, system, &assessment);
            let mut told = stop_service(unit, &supervisor, status, dialogue)?;
            match carry_over(unit, system, dialogue) {
                Ok(carried) => told.extend(carried),
                Err(failure) => return Err(resume(unit, &supervisor, assessment, failure)),
            }
            change_over(unit, system, &assessment, text.as_deref())?;
            start_service(unit, &supervisor, assessment.record)?;
            Ok(told)
        }
        Action::Stop => {
            install(unit, system, &assessment, text.as_deref())?;
            let status = &assessment.status;
            request_permit(unit, dialogue, status, "stop")?;
            let told = if status.is_down() {
                Vec::new()
            } else {
                stop_service(unit, &supervisor, status, dialogue)?
            };
            supervisor::end(&status.strays, Duration::from_secs(unit.stop_timeout_secs))?;
            Ok(told)
        }
    };
    if is_gone && told.is_ok() {
        forget(unit, system, removes)?;
    }
    told
}

/// Takes the file away, if it is to go, and what is known of the unit's starts.
fn forget(unit: &Unit, system: &System, removes: bool) -> Result<(), Failure> {
    if removes {
        system.remove(&systemd::unit_file(&unit.name)?, false)?;
        systemd::reload(system)?;
    }
    Ok(Record::default().save(system, &unit.name)?)
}

/// A service is not stopped for a release that it could not be started from.
fn require_release(unit: &Unit, system: &System) -> Result<(), Failure> {
    let Some(release) = &unit.release else { return Ok(()) };
    if system.stat(&release.folder)?.is_some() {
        return Ok(());
    }
    let what = format!("{} was left as it is: its release `{}` is not here", unit.name, release.folder);
    Err(Failure::new(what).hint("bring the release to the host first: apply does"))
}

/// Installs the unit file, and reloads or enables what depends on it.
fn install(
    unit: &Unit,
    system: &System,
    assessment: &Assessment,
    text: Option<&Path>,
) -> Result<(), Failure> {
    let Assessment { file, reload, enable, .. } = assessment;
    if let Some(text) = text {
        let ids = if system.is_privileged() { Ids { uid: Some(0), gid: Some(0) } } else { Ids::default() };
        let attributes = Attributes { mode: Some(UNIT_FILE_MODE), ids };
        system.write(&systemd::unit_file(&unit.name)?, &Bytes::File(text), attributes)?;
    }
    let is_new = *file == Some("install unit file");
    match unit.enabled.filter(|_| is_new || enable.is_some()) {
        Some(wanted) => systemd::enable(system, &unit.name, wanted),
        None if (file.is_some() && unit.state != State::Gone) || *reload => systemd::reload(system),
        None => Ok(()),
    }
}

fn carry_over(unit: &Unit, system: &System, dialogue: &mut dyn Dialogue) -> Result<Vec<String>, Failure> {
    let Some(release) = &unit.release else { return Ok(Vec::new()) };
    let carried = release::carry_over(release, system, &unit.name, dialogue)?;
    Ok((!carried.is_empty()).then(|| format!("carried over {}", carried.join(", "))).into_iter().collect())
}

/// The service is down: from here on the desired release is the one in use.
fn change_over(
    unit: &Unit,
    system: &System,
    assessment: &Assessment,
    text: Option<&Path>,
) -> Result<(), Failure> {
    install(unit, system, assessment, text)?;
    if let Some(release) = unit.release.as_ref().filter(|_| assessment.turn) {
        system.link(&release.link, release.folder.as_str().as_ref())?;
    }
    Ok(())
}

/// A service that was stopped in vain is started again as it was; returns the failure with what became of it.
fn resume(unit: &Unit, supervisor: &Supervisor<'_>, assessment: Assessment, failure: Failure) -> Failure {
    let Assessment { status, mut record, .. } = assessment;
    let Some(was) = record.in_effect(status.since()).cloned() else { return failure };
    let start = Start { at: Moment::now(), session: None, passed: BTreeSet::new(), ..was };
    let mut causes = failure.causes;
    causes.push(match supervisor.start(&mut record, start) {
        Ok(()) => format!("{} was started again as it was", unit.name),
        Err(again) => format!("{} could not be started again: {}", unit.name, again.what),
    });
    Failure { causes, ..failure }
}

/// A service that has been up for so long was healthy, even if no run waited for that.
fn note_up(unit: &Unit, system: &System, assessment: &Assessment) {
    let (status, record) = (&assessment.status, &assessment.record);
    let patience = unit.ready.as_ref().map(|ready| Duration::from_secs(ready.within_secs));
    let folder = record.in_effect(status.since()).and_then(|start| start.release.as_ref());
    if let (Some(patience), Some(folder)) = (patience, folder)
        && up_for(&status.own) > patience
    {
        // Without the note it is only not known.
        drop(Releases::note_up(system, &unit.name, (folder, Proved::Up)));
    }
}

fn request_permit(
    unit: &Unit,
    dialogue: &mut dyn Dialogue,
    status: &Status,
    reason: &str,
) -> Result<(), Failure> {
    let lives = !status.own.is_empty() || !status.family.is_empty();
    if unit.ask && lives { dialogue.permit(&unit.name, reason) } else { Ok(()) }
}

fn stop_service(
    unit: &Unit,
    supervisor: &Supervisor<'_>,
    status: &Status,
    dialogue: &mut dyn Dialogue,
) -> Result<Vec<String>, Failure> {
    Ok(match supervisor.stop(status, unit.stop_timeout_secs, dialogue)? {
        Stopped::Gracefully => Vec::new(),
        Stopped::Killed(secs) => {
            vec![format!("ended with KILL, because it did not stop within {secs} s")]
        }
    })
}

fn start_service(unit: &Unit, supervisor: &Supervisor<'_>, mut record: Record) -> Result<(), Failure> {
    let system = supervisor.system;
    let start = Start {
        at: Moment::now(),
        inputs: all_inputs(unit, system),
        reading: Reading::of(unit.watch.clone()),
        log: unit.log.clone(),
        process: unit.process.clone(),
        script: unit.script.clone(),
        release: unit.release.as_ref().map(|release| release.folder.clone()),
        ..Start::default()
    };
    Releases::note(system, &unit.name, &start)?;
    supervisor.start(&mut record, start)
}
