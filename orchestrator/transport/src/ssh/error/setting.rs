//! Settings that are invalid or unsupported, in the inventory and in files of the user.

use std::io;
use std::path::PathBuf;

/// Why a setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// The inventory does not contain the host.
    #[error("the inventory has no host `{0}`")]
    UnknownHost(String),
    /// A known_hosts file cannot be read.
    #[error("cannot read the known hosts file `{file}`", file = .file.display())]
    ReadKnownHosts {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A known_hosts file cannot be written.
    #[error("cannot write the host key of {peer} to `{file}`", file = .file.display())]
    WriteKnownHosts {
        /// Display name of the host.
        peer: String,
        /// The file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A pinned host key is invalid.
    #[error("invalid host key `{pin}`, pinned for {peer}")]
    Pin {
        /// Its text, shortened.
        pin: String,
        /// Display name of the host.
        peer: String,
    },
    /// `ProxyCommand` is not supported.
    #[error("the ssh configuration reaches `{0}` with ProxyCommand, which is not supported")]
    ProxyCommand(String),
    /// Too many chained jump hosts.
    #[error("more than {limit} jump hosts for `{address}`")]
    JumpHosts {
        /// The host behind them.
        address: String,
        /// The maximum.
        limit: usize,
    },
    /// A jump host is not `[user@]host[:port]`.
    #[error("invalid jump host `{0}`")]
    JumpHost(String),
    /// A host name or address is invalid.
    #[error("invalid host name `{0}`")]
    HostName(String),
    /// A host name or user looks like an option.
    #[error("invalid host name `{0}`: it starts with `-`")]
    OptionLike(String),
    /// The OpenSSH client cannot be run.
    #[error("the ssh configuration uses `Match`, and the OpenSSH client that evaluates it cannot be run")]
    RunOpenSsh(#[source] io::Error),
    /// The OpenSSH client rejects the configuration.
    #[error("`ssh -G {host}` failed: {said}")]
    OpenSsh {
        /// The host.
        host: String,
        /// Its standard error, bounded.
        said: String,
    },
    /// Includes are nested too deeply.
    #[error("`{file}` is included too deeply", file = .0.display())]
    IncludeDepth(PathBuf),
    /// A configuration file cannot be read.
    #[error("cannot read the ssh configuration `{file}`", file = .file.display())]
    ReadConfig {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl SettingError {
    /// Returns what to do next, if known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::UnknownHost(_) | Self::OptionLike(_) | Self::ReadConfig { .. } => None,
            Self::ReadKnownHosts { .. } => Some("host keys are always verified: make the file readable"),
            Self::WriteKnownHosts { .. } => {
                Some("make the file writable, or pin the key in the inventory with `apim_host_keys`")
            }
            Self::Pin { .. } => {
                Some("pin a key as `ssh-ed25519 AAAA…` or its fingerprint as `SHA256:…` (43 characters)")
            }
            Self::ProxyCommand(_) => {
                Some("use ProxyJump, in the ssh configuration or with `-J` in `ansible_ssh_common_args`")
            }
            Self::JumpHosts { .. } => Some("remove the cycle of ProxyJump in the ssh configuration"),
            Self::JumpHost(_) => Some("write it as `[user@]host[:port]`"),
            Self::HostName(_) => Some("a name or address must not start with `-` or contain spaces"),
            Self::RunOpenSsh(_) => {
                Some("install openssh-client, or set the host's connection variables in the inventory")
            }
            Self::OpenSsh { .. } => Some("correct the ssh configuration"),
            Self::IncludeDepth(_) => Some("remove the cycle of Include"),
        }
    }
}
