//! The machine lab: every host boots systemd on an overlay of this machine's root file system, in its own
//! network namespace, with sshd.
//!
//! The blackhole route of the subnet is created before its bridge, so that no packet for a lab address
//! can leave this machine.

mod access;
mod boot;
mod command;
mod database;
mod error;
mod network;
mod packages;
mod root;
mod state;
mod topology;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::time::Duration;

pub use database::{ADMIN as DATABASE_ADMIN, ADMIN_PASSWORD as DATABASE_ADMIN_PASSWORD};
pub use error::LabError;
pub use network::{BRIDGE_ADDRESS, SUBNET};
pub use packages::install_missing;
pub use root::{DEPLOY, DEPLOY_WITH_PASSWORD, SUDO_PASSWORD};
pub use state::{DIRECTORY, Owner};
pub use topology::{Host, Kind, Topology};

use state::{Hold, State};

/// The time limit from the start of a host until sshd answers.
const BOOT_DEADLINE: Duration = Duration::from_secs(90);

/// A running machine lab.
///
/// A lab owned by a process is stopped on drop; a lab started by a person keeps running until `down`.
#[derive(Debug)]
pub struct Machines {
    state: State,
    owned: bool,
    hold: Option<Hold>,
}

impl Machines {
    /// Boots the hosts of `topology` in parallel, and returns when sshd of every host answers. Removes the
    /// remains of a dead lab first.
    ///
    /// # Errors
    /// - Another lab is running.
    /// - This machine cannot run a lab.
    /// - A host does not boot.
    pub fn up(topology: &Topology, owner: Owner) -> Result<Self, LabError> {
        can_run()?;
        let hold = Hold::take()?;
        if let Some(state) = State::load()? {
            state.refuse_if_alive()?;
        }
        sweep()?;
        packages::install_missing()?;
        // From here on, an error drops `machines`, which removes everything created so far.
        let mut machines =
            Self { state: State::new(topology.hosts().to_vec(), &owner), owned: true, hold: Some(hold) };
        raise(&machines.state)?;
        if owner == Owner::Person {
            machines.owned = false;
            machines.hold = None;
        }
        Ok(machines)
    }

    /// Returns the running lab.
    ///
    /// # Errors
    /// If no lab is running.
    pub fn open() -> Result<Self, LabError> {
        match State::load()? {
            Some(state) => Ok(Self { state, owned: false, hold: None }),
            None => Err(LabError::NotUp),
        }
    }

    /// Kills all hosts and removes everything.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn down(mut self) -> Result<(), LabError> {
        self.owned = false;
        sweep()
    }

    /// Returns the hosts.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.state.hosts
    }

    /// Returns the host of that name.
    ///
    /// # Errors
    /// If the host does not exist.
    pub fn host(&self, name: &str) -> Result<&Host, LabError> {
        self.state.hosts.iter().find(|host| host.name == name).ok_or_else(|| LabError::NoSuchHost {
            name: name.to_owned(),
            known: self.state.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Whether the host is on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        boot::leader(name).is_some()
    }

    /// Whether sshd of the host answers.
    #[must_use]
    pub fn answers(&self, name: &str) -> bool {
        self.host(name).is_ok_and(|host| boot::ssh_answers(host.address))
    }

    /// Runs `argv` on the host as root, without its network and sshd, and waits until it ends.
    ///
    /// # Errors
    /// If the host is off or the command cannot be started.
    pub fn exec(&self, name: &str, argv: &[&str]) -> Result<Output, LabError> {
        let mut command = boot::enter(self.host(name)?, argv)?;
        command.output().map_err(|source| LabError::Start { program: "nsenter".to_owned(), source })
    }

    /// Runs `argv` on the host as root, with the input and output of this process.
    ///
    /// # Errors
    /// As [`Machines::exec`].
    pub fn attach(&self, name: &str, argv: &[&str]) -> Result<ExitStatus, LabError> {
        let mut command = boot::enter(self.host(name)?, argv)?;
        command.status().map_err(|source| LabError::Start { program: "nsenter".to_owned(), source })
    }

    /// Runs a shell command on the host as root and returns its standard output.
    ///
    /// # Errors
    /// If the exit code is not 0.
    pub fn sh(&self, name: &str, line: &str) -> Result<String, LabError> {
        let output = self.exec(name, &["sh", "-c", line])?;
        if !output.status.success() {
            return Err(LabError::Command {
                command: format!("{line} (on {name})"),
                status: output.status.code().unwrap_or(128 + output.status.signal().unwrap_or(0)),
                stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Opens an interactive SSH session to the host.
    ///
    /// # Errors
    /// If ssh cannot be started.
    pub fn ssh(&self, name: &str, argv: &[String]) -> Result<ExitStatus, LabError> {
        let host = self.host(name)?;
        std::process::Command::new("ssh")
            .arg("-F")
            .arg(self.ssh_config())
            .arg(&host.name)
            .args(argv)
            .status()
            .map_err(|source| LabError::Start { program: "ssh".to_owned(), source })
    }

    /// Disconnects the host from the network: packets are dropped, connections stay open.
    ///
    /// # Errors
    /// If the host is unknown or its link cannot be changed.
    pub fn cut(&self, name: &str) -> Result<(), LabError> {
        network::set_link(self.host(name)?, false)
    }

    /// Reconnects the host to the network.
    ///
    /// # Errors
    /// As [`Machines::cut`].
    pub fn heal(&self, name: &str) -> Result<(), LabError> {
        network::set_link(self.host(name)?, true)
    }

    /// Kills all processes of the host at once, like a power failure. Its disk is kept.
    ///
    /// # Errors
    /// If the host is unknown or its processes cannot be killed.
    pub fn kill(&self, name: &str) -> Result<(), LabError> {
        boot::kill(&self.host(name)?.name)
    }

    /// Boots the host again on its disk.
    ///
    /// # Errors
    /// If it is already on, or does not boot.
    pub fn boot(&self, name: &str) -> Result<(), LabError> {
        let host = self.host(name)?;
        boot::start(host)?;
        boot::await_ssh(&[host], BOOT_DEADLINE)
    }

    /// Resets hosts to new machines and boots them. Addresses and host keys are kept.
    ///
    /// # Errors
    /// If a host is unknown or does not boot.
    pub fn reset(&self, names: &[&str]) -> Result<(), LabError> {
        let hosts = names.iter().map(|name| self.host(name)).collect::<Result<Vec<_>, _>>()?;
        for host in &hosts {
            boot::kill(&host.name)?;
            network::set_link(host, true)?;
            root::wipe(&host.name)?;
            root::make(host)?;
            boot::start(host)?;
        }
        boot::await_ssh(&hosts, BOOT_DEADLINE)
    }

    /// Returns the path of the disk of the host on this machine.
    #[must_use]
    pub fn disk(&self, name: &str) -> PathBuf {
        root::mounted(name)
    }

    /// Returns the layer of the host's disk with everything written since it was created.
    #[must_use]
    pub fn layer(&self, name: &str) -> PathBuf {
        root::layer(name)
    }

    /// Returns the inodes of the network namespaces of the hosts, which identify processes of the lab.
    #[must_use]
    pub fn networks(&self) -> Vec<u64> {
        self.state.hosts.iter().filter_map(|host| network::inode(&host.name)).collect()
    }

    /// Returns the SSH client configuration for all hosts.
    #[must_use]
    pub fn ssh_config(&self) -> PathBuf {
        access::ssh_config()
    }

    /// Returns the `known_hosts` file of all hosts.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        access::known_hosts()
    }

    /// Returns the private key for all hosts.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        access::key()
    }

    /// Returns an inventory with only the hosts and their connection variables.
    #[must_use]
    pub fn inventory(&self) -> PathBuf {
        access::inventory()
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        if self.owned
            && let Err(error) = sweep()
        {
            std::mem::drop(std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("cannot remove the lab: {error}\n").as_bytes(),
            ));
        }
    }
}

/// Checks whether this machine can run a machine lab.
///
/// # Errors
/// - It is not Linux.
/// - This process is not root.
/// - The kernel has no overlay file system or network namespaces.
/// - Packages are missing and cannot be installed.
pub fn can_run() -> Result<(), LabError> {
    if !cfg!(target_os = "linux") {
        return Err(LabError::Unsupported("Linux is required".to_owned()));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(LabError::Unsupported("root is required".to_owned()));
    }
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !filesystems.lines().any(|line| line.ends_with("overlay"))
        && command::run("modprobe", &["overlay"]).is_err()
    {
        return Err(LabError::Unsupported("the kernel has no overlay file system".to_owned()));
    }
    if !Path::new("/proc/self/ns/net").exists() {
        return Err(LabError::Unsupported("the kernel has no network namespaces".to_owned()));
    }
    if !packages::missing().is_empty() && !packages::can_install() {
        return Err(LabError::Unsupported(format!(
            "missing packages, and no apt-get to install them: {}",
            packages::missing().join(" ")
        )));
    }
    Ok(())
}

/// Removes everything of a lab, running or dead.
///
/// # Errors
/// If something cannot be removed.
pub fn sweep() -> Result<(), LabError> {
    boot::end_all()?;
    root::unmount_all()?;
    network::remove_all()?;
    state::remove()
}

fn raise(state: &State) -> Result<(), LabError> {
    state::make_directory()?;
    state.save()?;
    network::make_bridge()?;
    access::make_keys(&state.hosts)?;
    root::make_base()?;
    for host in &state.hosts {
        network::add_host(host)?;
        root::make(host)?;
        boot::start(host)?;
    }
    boot::await_ssh(&state.hosts.iter().collect::<Vec<_>>(), BOOT_DEADLINE)?;
    for host in &state.hosts {
        database::await_ready(host, BOOT_DEADLINE)?;
    }
    Ok(())
}
