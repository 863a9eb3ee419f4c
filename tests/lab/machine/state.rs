//! What is kept about the lab that is up, who owns it, and the lock that keeps labs apart.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::topology::Host;
use super::{LabError, boot};

/// Everything of the lab lies here, on a file system of its own.
pub const DIRECTORY: &str = "/run/apim-lab";
const LOCK: &str = "/run/apim-lab.lock";

/// Who a lab belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The person who brought it up: it stays until taken down.
    Person,
    /// This process: it goes when the process does, and the next one may clear it away.
    Process,
}

/// The lock on the lab of this machine; the kernel gives it back when the process ends.
#[derive(Debug)]
pub(super) struct Hold {
    _file: OwnedFd,
}

impl Hold {
    pub(super) fn take() -> Result<Self, LabError> {
        let file = rustix::fs::open(LOCK, OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC, Mode::from(0o600))
            .map_err(|error| LabError::File { what: "open", path: LOCK.into(), source: error.into() })?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| LabError::Busy("another process is using it".to_owned()))?;
        Ok(Self { _file: file })
    }
}

/// What is known of the lab that is up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) hosts: Vec<Host>,
    owner: Option<u32>,
}

impl State {
    pub(super) fn new(hosts: Vec<Host>, owner: &Owner) -> Self {
        Self { hosts, owner: (*owner == Owner::Process).then(std::process::id) }
    }

    pub(super) fn load() -> Result<Option<Self>, LabError> {
        let path = file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LabError::File { what: "read", path, source }),
        };
        // A half-written state belongs to a lab that died while it was made.
        Ok(serde_json::from_str(&text).ok())
    }

    pub(super) fn save(&self) -> Result<(), LabError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        fs::write(file(), text).map_err(LabError::file("write", file()))
    }

    /// Refuses when the lab is one brought up by hand and runs. One of a process is dead, or its lock were held.
    pub(super) fn refuse_if_alive(&self) -> Result<(), LabError> {
        let running = self.hosts.iter().filter(|host| boot::leader(&host.name).is_some()).count();
        if self.owner.is_none() && running > 0 {
            return Err(LabError::Busy(format!("brought up by hand, {running} hosts running")));
        }
        Ok(())
    }
}

fn file() -> PathBuf {
    Path::new(DIRECTORY).join("lab.json")
}

/// Makes the lab's folder on memory: an overlay's upper folder may not lie on the file system that it covers.
pub(super) fn make_directory() -> Result<(), LabError> {
    fs::create_dir_all(DIRECTORY).map_err(LabError::file("create", DIRECTORY))?;
    super::command::run("mount", &["-t", "tmpfs", "-o", "mode=0755,size=75%", "apim-lab", DIRECTORY])?;
    Ok(())
}

/// Takes the lab's folder away.
pub(super) fn remove() -> Result<(), LabError> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for _ in mounts.lines().filter(|line| line.split(' ').nth(1) == Some(DIRECTORY)) {
        super::command::run("umount", &["--lazy", DIRECTORY])?;
    }
    match fs::remove_dir_all(DIRECTORY) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LabError::File { what: "remove", path: DIRECTORY.into(), source: error })
        }
        _ => Ok(()),
    }
}
