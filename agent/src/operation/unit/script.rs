//! A service without systemd: its foreground command in a session of its own, recognized by its command line.
//!
//! Starting at boot is not to be had this way. A pid file is never believed: it may be stale, padded, or name another process.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, thread};

use apim_protocol::operation::unit::Script;
use apim_protocol::outcome::Failure;
use apim_protocol::value::{Owner, Secret, UnitName};

use crate::probe::process;
use crate::probe::process::Process;
use crate::system::{Program, System, SystemError};

/// Starts the command in a session of its own (where the host has `setsid`), its output in `$1`, and prints its pid.
const LAUNCH: &str = r#"out=$1; shift
if command -v setsid >/dev/null 2>&1; then
    setsid "$@" </dev/null >>"$out" 2>&1 &
else
    "$@" </dev/null >>"$out" 2>&1 &
fi
echo $!"#;

/// Returns where the service's standard output and error go.
pub(crate) fn output_file(system: &System, unit: &UnitName) -> PathBuf {
    system.state().folder().join("units").join(format!("{unit}.out"))
}

/// Starts the service and returns the number of its session, where it got one of its own.
///
/// Below `--root`, an argument that is an absolute path of something below the root means that.
pub(crate) fn launch(system: &System, unit: &UnitName, script: &Script) -> Result<Option<u32>, Failure> {
    let output = output_file(system, unit);
    empty_output(system, &output, script)?;
    let head = [
        "/bin/sh".to_owned(),
        "-c".to_owned(),
        LAUNCH.to_owned(),
        "start".to_owned(),
        output.display().to_string(),
    ];
    let secret = |(key, value): (&String, &String)| (key.clone(), Secret::new(value.clone()));
    let program = Program {
        argv: head.into_iter().chain(script.argv.iter().cloned()).collect(),
        directory: script.directory.clone(),
        environment: script.environment.iter().map(secret).collect(),
        run_as: script.run_as.clone(),
        stdin: None,
        timeout_secs: 30,
    };
    let done = system.run(&program)?;
    match done.stdout.trim().parse() {
        Ok(pid) if done.ended.is_success() => Ok(session_of(pid)),
        _ => Err(Failure {
            causes: done.tail(5),
            ..Failure::new(format!("{unit} cannot be started ({})", done.ended))
        }),
    }
}

/// Returns `pid` once it leads its session (or is gone already); `None` when it never does, for want of `setsid`.
fn session_of(pid: u32) -> Option<u32> {
    let until = Instant::now() + Duration::from_secs(1);
    loop {
        match Process::read(pid) {
            Some(process) if process.session != pid => {
                if Instant::now() > until {
                    return None;
                }
                thread::sleep(Duration::from_millis(2));
            }
            _ => return Some(pid),
        }
    }
}

/// Returns the processes of the service: those that `matched`, their descendants, and all of the session it was started in.
pub(crate) fn family(matched: &[Process], session: Option<u32>) -> Vec<Process> {
    let all = process::all();
    let session = session.filter(|session| is_ours(*session, &all));
    let is_seed = |process: &Process| {
        matched.iter().any(|other| other.pid == process.pid && other.started == process.started)
            || session.is_some_and(|session| process.session == session || process.pid == session)
    };
    let (mut family, mut others): (Vec<Process>, Vec<Process>) = all.into_iter().partition(is_seed);
    loop {
        let (children, rest): (Vec<Process>, Vec<Process>) =
            others.into_iter().partition(|process| family.iter().any(|member| member.pid == process.parent));
        others = rest;
        if children.is_empty() {
            return family;
        }
        family.extend(children);
    }
}

/// Numbers are reused: a process that has it now without leading the session is another one.
fn is_ours(session: u32, all: &[Process]) -> bool {
    all.iter().find(|process| process.pid == session).is_none_or(|leader| leader.session == session)
}

/// Recreates the output file, empty and writable for the account that the service runs as.
fn empty_output(system: &System, output: &PathBuf, script: &Script) -> Result<(), Failure> {
    let fail = |error| Failure::from(SystemError::io("make", output, error));
    if let Some(folder) = output.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    match fs::remove_file(output) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(output).map_err(fail)?;
    if system.is_privileged() && script.run_as.is_some() {
        let ids = system.ids(&Owner { user: script.run_as.clone(), group: None })?;
        std::os::unix::fs::fchown(&file, ids.uid, ids.gid).map_err(fail)?;
    }
    Ok(())
}
