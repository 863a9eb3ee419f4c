//! The machine lab: every host boots systemd on an overlay of this machine's own root, in a network namespace of its own, with a real sshd.
//!
//! Order matters: the subnet's blackhole route comes before its bridge, so no packet for a lab address can leave this machine.

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

/// How long a host may take from its start until sshd answers.
const BOOT_DEADLINE: Duration = Duration::from_secs(90);

/// A running machine lab.
///
/// One owned by a process is taken down when this value is dropped; one brought up by hand stays until `down`.
#[derive(Debug)]
pub struct Machines {
    state: State,
    owned: bool,
    hold: Option<Hold>,
}

impl Machines {
    /// Boots the hosts of `topology`, all at once, and returns when every sshd answers.
    ///
    /// What a dead lab left behind is cleared away first.
    ///
    /// # Errors
    /// When a lab is up and its owner lives, when this machine cannot run one, or when a host does not boot.
    pub fn up(topology: &Topology, owner: Owner) -> Result<Self, LabError> {
        can_run()?;
        let hold = Hold::take()?;
        if let Some(state) = State::load()? {
            state.refuse_if_alive()?;
        }
        sweep()?;
        packages::install_missing()?;
        // From here on an error drops `machines`, and that clears away what was made so far.
        let mut machines =
            Self { state: State::new(topology.hosts().to_vec(), &owner), owned: true, hold: Some(hold) };
        raise(&machines.state)?;
        if owner == Owner::Person {
            machines.owned = false;
            machines.hold = None;
        }
        Ok(machines)
    }

    /// Returns the lab that is up.
    ///
    /// # Errors
    /// When none is.
    pub fn open() -> Result<Self, LabError> {
        match State::load()? {
            Some(state) => Ok(Self { state, owned: false, hold: None }),
            None => Err(LabError::NotUp),
        }
    }

    /// Ends every host at once and leaves nothing behind.
    ///
    /// # Errors
    /// When something cannot be removed.
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
    /// When there is none.
    pub fn host(&self, name: &str) -> Result<&Host, LabError> {
        self.state.hosts.iter().find(|host| host.name == name).ok_or_else(|| LabError::NoSuchHost {
            name: name.to_owned(),
            known: self.state.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Says whether the host is powered on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        boot::leader(name).is_some()
    }

    /// Says whether sshd of the host answers now.
    #[must_use]
    pub fn answers(&self, name: &str) -> bool {
        self.host(name).is_ok_and(|host| boot::ssh_answers(host.address))
    }

    /// Runs `argv` on the host as root, past its network and its sshd, and waits for it.
    ///
    /// # Errors
    /// When the host is off or the command cannot be started.
    pub fn exec(&self, name: &str, argv: &[&str]) -> Result<Output, LabError> {
        let mut command = boot::enter(self.host(name)?, argv)?;
        command.output().map_err(|source| LabError::Start { program: "nsenter".to_owned(), source })
    }

    /// Runs `argv` on the host as root with this process's own input and output.
    ///
    /// # Errors
    /// As [`Machines::exec`].
    pub fn attach(&self, name: &str, argv: &[&str]) -> Result<ExitStatus, LabError> {
        let mut command = boot::enter(self.host(name)?, argv)?;
        command.status().map_err(|source| LabError::Start { program: "nsenter".to_owned(), source })
    }

    /// Runs a shell line on the host as root and returns what it printed.
    ///
    /// # Errors
    /// When it exits with anything but 0.
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

    /// Opens an interactive ssh session to the host, through its sshd.
    ///
    /// # Errors
    /// When ssh cannot be started.
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

    /// Takes the host off the network: packets to it and from it vanish, connections stay open.
    ///
    /// # Errors
    /// When the host is unknown or its link cannot be set.
    pub fn cut(&self, name: &str) -> Result<(), LabError> {
        network::set_link(self.host(name)?, false)
    }

    /// Puts the host back on the network.
    ///
    /// # Errors
    /// As [`Machines::cut`].
    pub fn heal(&self, name: &str) -> Result<(), LabError> {
        network::set_link(self.host(name)?, true)
    }

    /// Pulls the host's plug: every process of it is gone at once; its disk stays.
    ///
    /// # Errors
    /// When the host is unknown or does not die.
    pub fn kill(&self, name: &str) -> Result<(), LabError> {
        boot::kill(&self.host(name)?.name)
    }

    /// Boots the host again on the disk that it had.
    ///
    /// # Errors
    /// When it is on already, or does not boot.
    pub fn boot(&self, name: &str) -> Result<(), LabError> {
        let host = self.host(name)?;
        boot::start(host)?;
        boot::await_ssh(&[host], BOOT_DEADLINE)
    }

    /// Gives each of `names` a new machine's disk and boots it; its address and host keys stay.
    ///
    /// # Errors
    /// When a host is unknown or does not boot.
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

    /// Returns the disk of the host, as seen from this machine.
    #[must_use]
    pub fn disk(&self, name: &str) -> PathBuf {
        root::mounted(name)
    }

    /// Returns the part of the host's disk that is its own: what was written since it was made.
    #[must_use]
    pub fn layer(&self, name: &str) -> PathBuf {
        root::layer(name)
    }

    /// Returns the numbers of the namespaces that the hosts' networks are in: by them a process of this machine is known to be one of theirs.
    #[must_use]
    pub fn networks(&self) -> Vec<u64> {
        self.state.hosts.iter().filter_map(|host| network::inode(&host.name)).collect()
    }

    /// Returns the ssh client configuration that knows every host.
    #[must_use]
    pub fn ssh_config(&self) -> PathBuf {
        access::ssh_config()
    }

    /// Returns the file with the host keys of every host.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        access::known_hosts()
    }

    /// Returns the private key that opens every host.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        access::key()
    }

    /// Returns an inventory that holds the hosts and how to reach them, and nothing else.
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
                format!("the lab could not be cleared away: {error}\n").as_bytes(),
            ));
        }
    }
}

/// Says why this machine cannot run a machine lab, if it cannot.
///
/// # Errors
/// When it is not Linux, this is not root, or the kernel lacks what the lab needs.
pub fn can_run() -> Result<(), LabError> {
    if !cfg!(target_os = "linux") {
        return Err(LabError::Unsupported("it needs Linux".to_owned()));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(LabError::Unsupported("it needs root".to_owned()));
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
            "these packages are missing and apt-get is not to be had: {}",
            packages::missing().join(" ")
        )));
    }
    Ok(())
}

/// Clears away whatever a lab left, whoever made it.
///
/// # Errors
/// When something cannot be removed.
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
