//! The state of the running lab, its owner, and the lock that prevents a second lab.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::topology::Host;
use super::{LabError, boot};

/// The folder of the lab, with its own file system.
pub const DIRECTORY: &str = "/run/apim-lab";
const LOCK: &str = "/run/apim-lab.lock";

/// The owner of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A person: it runs until it is stopped.
    Person,
    /// This process: it is stopped with the process, or removed by the next lab.
    Process,
}

/// The lock of the lab of this machine; released when the process ends.
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

/// The state of the running lab.
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
        // An incomplete file is from a lab that died while it was started.
        Ok(serde_json::from_str(&text).ok())
    }

    pub(super) fn save(&self) -> Result<(), LabError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        fs::write(file(), text).map_err(LabError::file("write", file()))
    }

    /// Refuses if a lab started by a person is running. A lab of a process is dead, since its lock is free.
    pub(super) fn refuse_if_alive(&self) -> Result<(), LabError> {
        let running = self.hosts.iter().filter(|host| boot::leader(&host.name).is_some()).count();
        if self.owner.is_none() && running > 0 {
            return Err(LabError::Busy(format!("started by `lab up`, {running} hosts running")));
        }
        Ok(())
    }
}

fn file() -> PathBuf {
    Path::new(DIRECTORY).join("lab.json")
}

/// Creates the folder of the lab in memory: the upper folder of an overlay must not be on the file system
/// that it covers.
pub(super) fn make_directory() -> Result<(), LabError> {
    fs::create_dir_all(DIRECTORY).map_err(LabError::file("create", DIRECTORY))?;
    super::command::run("mount", &["-t", "tmpfs", "-o", "mode=0755,size=75%", "apim-lab", DIRECTORY])?;
    Ok(())
}

/// Removes the folder of the lab.
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
