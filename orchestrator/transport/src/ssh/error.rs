//! SSH errors: what failed, on which host, the last answer, and what to do.

use apim_protocol::outcome::Failure;

use super::host_key::{KeyFault, UnknownKey};
use crate::failure;

/// Why connecting to a host, or starting the agent there, failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SshError {
    /// The host key is neither pinned in the inventory nor in a known_hosts file.
    #[error("unknown host key of {}: {} {}", .0.peer, .0.algorithm, .0.fingerprint)]
    UnknownHostKey(Box<UnknownKey>),
    /// The host key was rejected.
    #[error("{0}")]
    HostKey(Box<KeyFault>),
    /// The connection failed.
    #[error("cannot connect to {peer}: {why}")]
    Unreachable {
        /// Display name of the host.
        peer: String,
        /// The cause.
        why: String,
        /// What to do next.
        hint: String,
    },
    /// The host accepted no key and no password.
    #[error("{peer}: authentication failed for `{user}`: tried {tried}; the server allows {allowed}")]
    Authentication {
        /// Display name of the host.
        peer: String,
        /// The login name.
        user: String,
        /// Every attempt with its result.
        tried: String,
        /// The methods that the server allows.
        allowed: String,
        /// What to do next.
        hint: String,
    },
    /// A setting is invalid or unsupported.
    #[error("{what}")]
    Setting {
        /// The setting, its location and the cause.
        what: String,
        /// What to do next.
        hint: String,
    },
    /// The agent cannot be installed or started.
    #[error("cannot start the agent on {peer}: {why}")]
    Launch {
        /// Display name of the host.
        peer: String,
        /// The cause.
        why: String,
        /// What to do next.
        hint: String,
    },
    /// An address cannot be reached from the host.
    #[error("cannot reach {to} from {peer}: {why}")]
    Tunnel {
        /// Display name of the host.
        peer: String,
        /// Address and port.
        to: String,
        /// The cause.
        why: String,
        /// What to do next.
        hint: String,
    },
    /// A jump host failed.
    #[error("cannot reach {peer} through its jump host")]
    Jump {
        /// The host behind the jump host.
        peer: String,
        /// The error of the jump host.
        #[source]
        source: Box<SshError>,
    },
}

impl SshError {
    /// Returns what to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownHostKey(_) => {
                "compare the fingerprint with the output of `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host, then run \
                with --accept-new-host-keys, or pin the key in the inventory with `apim_host_keys`"
                    .to_owned()
            }
            Self::HostKey(fault) => fault.hint(),
            Self::Unreachable { hint, .. }
            | Self::Authentication { hint, .. }
            | Self::Setting { hint, .. }
            | Self::Tunnel { hint, .. }
            | Self::Launch { hint, .. } => hint.clone(),
            Self::Jump { source, .. } => source.hint(),
        }
    }
}

impl From<SshError> for Failure {
    fn from(error: SshError) -> Self {
        failure::from_error(&error, Some(error.hint()).filter(|hint| !hint.is_empty()))
    }
}
