//! The process lab: hosts that are SSH servers within this process, each on a loopback address of its own, each with a folder for its root.
//!
//! It needs no root and no package. What it cannot show (systemd, accounts, sudo, OpenSSH itself) is the machine lab's business.

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

/// The account name that the servers take.
pub const USER: &str = "deploy";
/// The password that the servers take, besides the lab's key.
pub const PASSWORD: &str = "process lab, pass: word";

/// How long killed processes may take to vanish.
const DEATH_DEADLINE: Duration = Duration::from_secs(10);

/// Why a process lab cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ProcessLabError {
    /// A file or socket.
    #[error("cannot {what}")]
    Io {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A key.
    #[error("cannot make a key")]
    Key(#[from] russh::keys::Error),
    /// The text form of a key.
    #[error("cannot write a key")]
    KeyText(#[from] russh::keys::ssh_key::Error),
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> ProcessLabError {
    let what = what.into();
    move |source| ProcessLabError::Io { what, source }
}

/// One host of the process lab.
#[derive(Debug)]
pub struct ProcessHost {
    /// Its name.
    pub name: String,
    /// Where its SSH server listens.
    pub address: SocketAddr,
    /// What it takes for `/`.
    pub root: PathBuf,
    /// Where the agent keeps its state and itself.
    pub state: PathBuf,
    folder: PathBuf,
    wire: Arc<Wire>,
}

/// Hosts within this process; gone, with everything they started, when dropped.
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
    /// When a socket, a file or a key cannot be had.
    pub fn up(names: &[&str]) -> Result<Self, ProcessLabError> {
        let folder =
            tempfile::Builder::new().prefix("apim-lab-").tempdir().map_err(failed("make a folder"))?;
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
            let place_of_host = folder.path().join(name);
            // Only Linux answers on all of 127.0.0.0/8 without being told to.
            let place =
                if cfg!(target_os = "linux") { Ipv4Addr::new(127, 0, 0, last) } else { Ipv4Addr::LOCALHOST };
            let listener = runtime
                .block_on(TcpListener::bind((IpAddr::from(place), 0)))
                .map_err(failed(format!("listen on {place}")))?;
            let address = listener.local_addr().map_err(failed("read a socket's address"))?;
            writeln!(known, "[{}]:{} {}", address.ip(), address.port(), key.public_key().to_openssh()?)
                .unwrap_or_default();
            let wire = Arc::new(Wire::default());
            let keys = Keys { host: key, client: client.public_key().clone() };
            let host = ProcessHost {
                name: (*name).to_owned(),
                address,
                root: place_of_host.join("root"),
                state: place_of_host.join("state"),
                folder: place_of_host,
                wire: Arc::clone(&wire),
            };
            host.furnish()?;
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

    /// Returns a folder that lives as long as the lab.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the private key that opens every host.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("id_ed25519")
    }

    /// Returns the file with every host key.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }
}

impl ProcessHost {
    /// Ends what runs on the host and makes it a new machine; its address and keys stay.
    ///
    /// # Errors
    /// When its folders cannot be made anew.
    pub fn reset(&self) -> Result<(), ProcessLabError> {
        end_all_below(&self.folder);
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).map_err(failed("remove the host's folder"))?;
        }
        self.furnish()
    }

    fn furnish(&self) -> Result<(), ProcessLabError> {
        for path in [&self.root.join("etc"), &self.root.join("tmp"), &self.state, &self.folder.join("home")] {
            fs::create_dir_all(path).map_err(failed(format!("create {}", path.display())))?;
        }
        fs::write(self.root.join("etc/hosts"), "127.0.0.1 localhost\n").map_err(failed("write etc/hosts"))
    }

    /// Changes what the host's network does to connections, those that stand and those to come.
    pub fn fault(&self, fault: Fault) {
        self.wire.set(fault);
    }

    /// Returns the commands that were run over SSH so far, in order.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.wire.commands()
    }

    /// Returns how many connections were made so far, and how many bytes came in and went out.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.wire.traffic()
    }

    /// Returns the host's variables for an inventory, as one line of flow-style YAML.
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

/// What went over a host's connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections made.
    pub connections: u64,
    /// Bytes from the clients.
    pub received: u64,
    /// Bytes to the clients.
    pub sent: u64,
}

impl Drop for ProcessLab {
    fn drop(&mut self) {
        end_all_below(self.folder.path());
    }
}

/// Ends every process whose arguments name something below the folder, and waits until they are gone.
fn end_all_below(folder: &Path) {
    let mark = format!("{}/", folder.display());
    let gone = until(DEATH_DEADLINE, || {
        let left = processes(|arguments| arguments.contains(&mark));
        for pid in &left {
            // Gone already is as good.
            rustix::process::kill_process(*pid, Signal::KILL).unwrap_or_default();
        }
        left.is_empty()
    });
    debug_assert!(gone, "processes below {mark} do not die");
}

/// Returns the processes of this machine, but for this one, whose arguments `fits` accepts.
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
