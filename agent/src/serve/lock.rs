//! One run at a time on a host: a kernel lock that dies with its process, and a note of its holder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{io, thread};

use apim_protocol::message::Open;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::inbox::Inbox;
use crate::system::System;

/// A former agent of the same host may still be finishing its step.
const PATIENCE: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Lock {
    /// `None` where another session of the same run holds the lock, for as long as this one lasts.
    file: Option<File>,
}

#[derive(Debug)]
pub(super) enum LockError {
    /// Another run holds it: the whole sentence.
    Held(String),
    Io(io::Error),
}

/// The holder of the lock.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    run: String,
    operator: String,
    purpose: String,
    since: u64,
    pid: u32,
}

impl Lock {
    pub(super) fn take(system: &System, open: &Open, inbox: &Inbox) -> Result<Self, LockError> {
        let path = system.state().folder().join("lock");
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = options.map_err(LockError::Io)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if open.shares_lock && is_held_by(&mut file, &open.run) => {
                    return Ok(Self { file: None });
                }
                Err(Errno::WOULDBLOCK) if Instant::now() < until && !inbox.is_hung_up() => {
                    thread::sleep(RETRY)
                }
                Err(Errno::WOULDBLOCK) => return Err(LockError::Held(sentence(&mut file))),
                Err(Errno::INTR) => {}
                Err(error) => return Err(LockError::Io(error.into())),
            }
        }
        let holder = Holder {
            run: open.run.clone(),
            operator: open.operator.clone(),
            purpose: open.purpose.clone(),
            since: now(),
            pid: std::process::id(),
        };
        note(&mut file, &holder).map_err(LockError::Io)?;
        Ok(Self { file: Some(file) })
    }

    /// Says whether no other session of the run works on the host.
    pub(super) const fn is_own(&self) -> bool {
        self.file.is_some()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock itself goes with the file; an old note does no harm, as it is read only while the lock is held.
        if let Some(file) = &self.file {
            file.set_len(0).ok();
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn note(file: &mut File, holder: &Holder) -> io::Result<()> {
    let text = serde_json::to_vec(holder)?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&text)
}

/// Returns what the holder says of itself, if anything.
fn holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(64 * 1024).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn is_held_by(file: &mut File, run: &str) -> bool {
    !run.is_empty() && holder(file).is_some_and(|holder| holder.run == run)
}

fn sentence(file: &mut File) -> String {
    match holder(file) {
        Some(holder) => format!(
            "{} has held this host for {} with `{}` (run {}, process {} on the host)",
            bounded(&holder.operator),
            ago(now().saturating_sub(holder.since)),
            bounded(&holder.purpose),
            bounded(&holder.run),
            holder.pid
        ),
        None => "another agent holds this host; its operator is unknown".to_owned(),
    }
}

fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn ago(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7200 => format!("{} min", secs / 60),
        _ => format!("{} h", secs / 3600),
    }
}
