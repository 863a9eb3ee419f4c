//! A log that is a file: its end first, then what is added, through rotation and truncation.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use apim_protocol::outcome::Failure;
use apim_protocol::value::AbsPath;

use super::teller::{TELL_EVERY, Teller};
use crate::probe::ProbeError;
use crate::probe::entries::Entries;
use crate::probe::log::{Mark, Reader};
use crate::probe::tail::{Selection, newest, tail};
use crate::system::System;

/// When nothing was added for so long, the last entry is taken as whole.
const QUIET: Duration = Duration::from_millis(300);

pub(super) fn tell(
    system: &System,
    (folder, name): (&AbsPath, &str),
    selection: &Selection,
    (goes_on, teller): (bool, &mut Teller<'_>),
) -> Result<(), Failure> {
    let folder = system.resolve(folder);
    let mut path = newest(&folder, name);
    let mut mark = Mark::default();
    match path.as_deref().map(|path| (path, tail(path, selection))) {
        Some((path, Ok(tail))) => {
            teller.left_out(tail.left_out);
            mark = Mark::at(path, tail.end);
            tail.entries.into_iter().for_each(|entry| teller.tell(entry));
        }
        Some((_, Err(error))) if !is_missing(&error) => return Err(failure(system, &error)),
        _ if goes_on => {}
        _ => {
            let what = format!("no log {}/{name}", system.unresolve(&folder).display());
            return Err(Failure::new(what).hint("a node that never ran has none"));
        }
    }
    teller.flush();
    if goes_on {
        teller.is_live();
        follow((&folder, name), (&mut path, &mark), selection, teller)
            .map_err(|error| failure(system, &error))?;
    }
    Ok(())
}

fn is_missing(error: &ProbeError) -> bool {
    matches!(error, ProbeError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

/// The path is the host's own, whatever part of the host is meant.
fn failure(system: &System, error: &ProbeError) -> Failure {
    let text = error.to_string();
    let root = system.root().display().to_string();
    Failure::new(if system.is_rooted() { text.replace(&root, "") } else { text })
}

fn follow(
    (folder, name): (&Path, &str),
    (path, mark): (&mut Option<PathBuf>, &Mark),
    selection: &Selection,
    teller: &mut Teller<'_>,
) -> Result<(), ProbeError> {
    let mut entries = Entries::new(selection.zone_secs);
    let mut reader = path.as_deref().map(|path| Reader::since(path, mark));
    let mut added_at = Instant::now();
    // What matches is wanted; how old it is does not count any more.
    let selection = Selection { since: None, ..selection.clone() };
    while !teller.is_over() {
        let mut added = false;
        let mut each = |line: &str| {
            added = true;
            if let Some(entry) = entries.push(line).filter(|entry| selection.wants(entry)) {
                teller.tell(entry);
            }
            if teller.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let now = newest(folder, name);
        if now != *path && now.is_some() {
            // Another file is the log now; what the former one still got is reported first.
            if let Some(reader) = &mut reader {
                reader.finish(&mut each)?;
            }
            reader = now.as_deref().map(|path| Reader::since(path, &Mark::default()));
            *path = now;
        }
        if let Some(reader) = &mut reader {
            reader.poll(&mut each)?;
        }
        if added {
            added_at = Instant::now();
        } else if entries.is_open()
            && added_at.elapsed() >= QUIET
            && let Some(entry) = entries.finish().filter(|entry| selection.wants(entry))
        {
            teller.tell(entry);
        }
        teller.flush();
        thread::sleep(TELL_EVERY);
    }
    Ok(())
}
