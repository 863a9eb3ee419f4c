//! The process lab: hosts are SSH servers inside this process, each with its own loopback address and a
//! folder as its root.
//!
//! Needs neither root nor packages. Systemd, accounts, sudo and OpenSSH are tested in the machine lab.

mod relay;
mod server;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use rustix::process::{Pid, Signal};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::poll::until;
pub use relay::Fault;
use relay::Wire;
use server::Keys;

/// The account of the servers.
pub const USER: &str = "deploy";
/// The password of the account. The key of the lab is accepted, too.
pub const PASSWORD: &str = "process lab, pass: word";

/// The time limit until killed processes are gone.
const DEATH_DEADLINE: Duration = Duration::from_secs(10);

/// Why a process lab cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ProcessLabError {
    /// Operation on a file or socket failed.
    #[error("cannot {what}")]
    Io {
        /// What was attempted.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// A key cannot be generated.
    #[error("cannot generate a key")]
    Key(#[from] russh::keys::Error),
    /// A key cannot be encoded.
    #[error("cannot write a key")]
    KeyText(#[from] russh::keys::ssh_key::Error),
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> ProcessLabError {
    let what = what.into();
    move |source| ProcessLabError::Io { what, source }
}

/// A host of the process lab.
#[derive(Debug)]
pub struct ProcessHost {
    /// The name in the inventory.
    pub name: String,
    /// The address of its SSH server.
    pub address: SocketAddr,
    /// The folder that is used as `/`.
    pub root: PathBuf,
    /// The folder of the agent and its state.
    pub state: PathBuf,
    folder: PathBuf,
    wire: Arc<Wire>,
}

/// Hosts inside this process; removed on drop, with all processes that they started.
#[derive(Debug)]
pub struct ProcessLab {
    hosts: Vec<ProcessHost>,
    folder: tempfile::TempDir,
    _runtime: Runtime,
}

impl ProcessLab {
    /// Starts one host per name.
    ///
    /// # Errors
    /// If a socket, file or key cannot be created.
    pub fn up(names: &[&str]) -> Result<Self, ProcessLabError> {
        let folder =
            tempfile::Builder::new().prefix("apim-lab-").tempdir().map_err(failed("create a folder"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(failed("start a runtime"))?;
        let client = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)?;
        client.write_openssh_file(folder.path().join("id_ed25519"), LineEnding::LF)?;
        let mut hosts = Vec::new();
        let mut known = String::new();
        for (last, name) in (11_u8..).zip(names) {
            let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)?;
            let host_folder = folder.path().join(name);
            // Only Linux has all of 127.0.0.0/8 by default.
            let ip =
                if cfg!(target_os = "linux") { Ipv4Addr::new(127, 0, 0, last) } else { Ipv4Addr::LOCALHOST };
            let listener = runtime
                .block_on(TcpListener::bind((IpAddr::from(ip), 0)))
                .map_err(failed(format!("listen on {ip}")))?;
            let address = listener.local_addr().map_err(failed("read a socket's address"))?;
            writeln!(known, "[{}]:{} {}", address.ip(), address.port(), key.public_key().to_openssh()?)
                .unwrap_or_default();
            let wire = Arc::new(Wire::default());
            let keys = Keys { host: key, client: client.public_key().clone() };
            let host = ProcessHost {
                name: (*name).to_owned(),
                address,
                root: host_folder.join("root"),
                state: host_folder.join("state"),
                folder: host_folder,
                wire: Arc::clone(&wire),
            };
            host.create_files()?;
            runtime.spawn(server::listen(listener, keys, host.folder.join("home"), wire));
            hosts.push(host);
        }
        let known_hosts = folder.path().join("known_hosts");
        fs::write(&known_hosts, known).map_err(failed("write known_hosts"))?;
        Ok(Self { hosts, folder, _runtime: runtime })
    }

    /// Returns the hosts.
    #[must_use]
    pub fn hosts(&self) -> &[ProcessHost] {
        &self.hosts
    }

    /// Returns the host of that name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&ProcessHost> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// Returns a folder that is removed with the lab.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the private key for every host.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("id_ed25519")
    }

    /// Returns the `known_hosts` file of all hosts.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }
}

impl ProcessHost {
    /// Ends all processes of the host and resets it to a new machine with the same address and keys.
    ///
    /// # Errors
    /// If its folders cannot be created.
    pub fn reset(&self) -> Result<(), ProcessLabError> {
        end_all_below(&self.folder);
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).map_err(failed("remove the host's folder"))?;
        }
        self.create_files()
    }

    fn create_files(&self) -> Result<(), ProcessLabError> {
        for path in [&self.root.join("etc"), &self.root.join("tmp"), &self.state, &self.folder.join("home")] {
            fs::create_dir_all(path).map_err(failed(format!("create {}", path.display())))?;
        }
        fs::write(self.root.join("etc/hosts"), "127.0.0.1 localhost\n").map_err(failed("write etc/hosts"))
    }

    /// Sets the fault of the host's network, for open and new connections.
    pub fn fault(&self, fault: Fault) {
        self.wire.set(fault);
    }

    /// Returns the commands run over SSH so far, in order.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.wire.commands()
    }

    /// Returns the counts of connections and bytes so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.wire.traffic()
    }

    /// Returns the host's inventory variables, as one line of flow-style YAML.
    #[must_use]
    pub fn variables(&self, lab: &ProcessLab) -> String {
        format!(
            "{{ansible_host: {}, ansible_port: {}, ansible_user: {USER}, ansible_ssh_private_key_file: {}, \
             ansible_ssh_common_args: '-F none -o UserKnownHostsFile={}', ansible_become: false, \
             apim_agent_root: {}, apim_agent_state: {}}}",
            self.address.ip(),
            self.address.port(),
            lab.key().display(),
            lab.known_hosts().display(),
            self.root.display(),
            self.state.display(),
        )
    }
}

/// Traffic over the connections of a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Opened connections.
    pub connections: u64,
    /// Bytes from clients.
    pub received: u64,
    /// Bytes to clients.
    pub sent: u64,
}

impl Drop for ProcessLab {
    fn drop(&mut self) {
        end_all_below(self.folder.path());
    }
}

/// Kills every process with a path below the folder in its arguments, and waits until they are gone.
fn end_all_below(folder: &Path) {
    let mark = format!("{}/", folder.display());
    let gone = until(DEATH_DEADLINE, || {
        let remaining = processes(|arguments| arguments.contains(&mark));
        for pid in &remaining {
            // It may have ended already.
            rustix::process::kill_process(*pid, Signal::KILL).unwrap_or_default();
        }
        remaining.is_empty()
    });
    debug_assert!(gone, "processes below {mark} are still running");
}

/// Returns the processes of this machine, except this one, for whose arguments `fits` is true.
pub fn processes(fits: impl Fn(&str) -> bool) -> Vec<Pid> {
    let own = rustix::process::getpid();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        })
        .filter(|pid| *pid != own)
        .filter(|pid| {
            let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
            fits(&String::from_utf8_lossy(&line))
        })
        .collect()
}
