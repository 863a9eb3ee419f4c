//! Host names and connection settings.

use std::fmt;
use std::path::PathBuf;

use apim_protocol::value::{AbsPath, Secret};

/// A host's name in the inventory. Contains only letters, digits and `-_.:`, and never starts with
/// `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(pub String);

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Connection settings of a host. `None` means the value of the ssh configuration, or its default.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// `ansible_connection`.
    pub kind: ConnectionKind,
    /// `ansible_host`, else the inventory name.
    pub address: String,
    /// `ansible_port`.
    pub port: Option<u16>,
    /// `ansible_user`.
    pub user: Option<String>,
    /// `ansible_password` / `ansible_ssh_pass`.
    pub password: Option<Secret>,
    /// `ansible_ssh_private_key_file`.
    pub private_key_file: Option<PathBuf>,
    /// Passphrase of that key (`apim_ssh_key_passphrase`).
    pub key_passphrase: Option<Secret>,
    /// The supported options of `ansible_ssh_common_args`.
    pub options: SshOptions,
    /// `apim_host_keys`: pinned public keys (`ssh-ed25519 AAAA…` or `SHA256:…`).
    pub host_keys: Vec<String>,
    /// `ansible_become_*` if the inventory sets `ansible_become: true`.
    pub escalate: Option<Become>,
    /// `ansible_become` itself, which overrides a play's `become`. `None` if the inventory does not
    /// set it.
    pub become_setting: Option<bool>,
    /// Account and password for the agent if a play sets `become`.
    pub become_with: Become,
    /// `apim_agent_state`: the folder for the agent's state and binary. The default depends on the
    /// account.
    pub agent_state: Option<AbsPath>,
    /// `apim_agent_root`: the folder that the agent uses as `/` (for labs and rehearsals).
    pub agent_root: Option<AbsPath>,
}

/// How the agent is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionKind {
    /// Over SSH.
    #[default]
    Ssh,
    /// As a child process on the control machine.
    Local,
}

/// Options from `-o Name=value`, `-J`, `-F`, `-i`, `-p`, `-l`. Any other option is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshOptions {
    /// Jump hosts, `[user@]host[:port]`, in order.
    pub proxy_jump: Vec<String>,
    /// The ssh configuration file instead of the user's. `none` disables it.
    pub config_file: Option<PathBuf>,
    /// `UserKnownHostsFile`.
    pub known_hosts_file: Option<PathBuf>,
    /// `ConnectTimeout` in seconds.
    pub connect_timeout_secs: Option<u64>,
    /// True for `StrictHostKeyChecking=accept-new`. `no` is rejected when the inventory is read.
    pub accept_new_host_keys: bool,
}

/// Privilege escalation with sudo.
#[derive(Debug, Clone, Default)]
pub struct Become {
    /// `ansible_become_user`, default `root`.
    pub user: String,
    /// `ansible_become_password`.
    pub password: Option<Secret>,
}
