//! A host: a machine, and how it is reached.

use std::fmt;
use std::path::PathBuf;

use apim_protocol::value::{AbsPath, Secret};

/// A host's name in the inventory. Never begins with `-`; holds letters, digits and `-_.:` only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(pub String);

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a host is reached; what is `None` comes from the ssh configuration or its defaults.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// Over SSH, or as a child process on this machine.
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
    /// Options of `ansible_ssh_common_args` that we honour.
    pub options: SshOptions,
    /// `apim_host_keys`: pinned public keys (`ssh-ed25519 AAAA…` or `SHA256:…`).
    pub host_keys: Vec<String>,
    /// `ansible_become*`.
    pub escalate: Option<Become>,
    /// `ansible_become` itself, which weighs more than a play's `become`; `None` when the inventory does not say.
    pub become_wish: Option<bool>,
    /// As whom and with which password the agent is run where a play asks for `become`.
    pub become_with: Become,
    /// `apim_agent_state`: where the agent keeps its state and itself, instead of the default for its account.
    pub agent_state: Option<AbsPath>,
    /// `apim_agent_root`: the folder that the agent takes for `/` (labs and rehearsals).
    pub agent_root: Option<AbsPath>,
}

/// SSH, or a child process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionKind {
    /// SSH.
    #[default]
    Ssh,
    /// A child process on the control machine.
    Local,
}

/// Options from `-o Name=value`, `-J`, `-F`, `-i`, `-p`, `-l`; any other option is an error where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshOptions {
    /// Jump hosts, `[user@]host[:port]`, in order.
    pub proxy_jump: Vec<String>,
    /// An ssh configuration file instead of the user's; `Some("none")` for none.
    pub config_file: Option<PathBuf>,
    /// `UserKnownHostsFile`.
    pub known_hosts_file: Option<PathBuf>,
    /// `ConnectTimeout` in seconds.
    pub connect_timeout_secs: Option<u64>,
    /// `StrictHostKeyChecking=no|accept-new|yes`; `no` is refused with a message (keys are verified always), `accept-new` allowed.
    pub accept_new_host_keys: bool,
}

/// Running the agent as another account.
#[derive(Debug, Clone, Default)]
pub struct Become {
    /// `ansible_become_user`, default `root`.
    pub user: String,
    /// `ansible_become_password`.
    pub password: Option<Secret>,
}
