//! Why a host cannot be reached over SSH: what was attempted, with whom, the last answer, and what to do.

use crate::session::ConnectError;

use super::host_key::{KeyFault, UnknownKey};

/// Why connecting to a host, or starting the agent there, failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SshError {
    /// The host's key is known neither from the inventory nor from a known_hosts file.
    #[error("the host key of {} is not known: {} {}", .0.peer, .0.algorithm, .0.fingerprint)]
    UnknownHostKey(Box<UnknownKey>),
    /// The host's key is not the one that is known.
    #[error("{0}")]
    HostKey(Box<KeyFault>),
    /// The host cannot be connected to.
    #[error("cannot connect to {peer}: {why}")]
    Unreachable {
        /// Who.
        peer: String,
        /// The last answer.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The host took none of our keys and passwords.
    #[error("{peer} let nobody in as `{user}`: tried {tried}; the server allows {allowed}")]
    Authentication {
        /// Who.
        peer: String,
        /// As whom.
        user: String,
        /// Every attempt and its answer.
        tried: String,
        /// The methods that the server still allows.
        allowed: String,
        /// What to do.
        hint: String,
    },
    /// A setting cannot be used.
    #[error("{what}")]
    Setting {
        /// What, where and why.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The agent cannot be installed or started.
    #[error("cannot start the agent on {peer}: {why}")]
    Launch {
        /// Who.
        peer: String,
        /// The last answer.
        why: String,
        /// What to do.
        hint: String,
    },
    /// A third address cannot be reached from the host.
    #[error("cannot reach {to} from {peer}: {why}")]
    Tunnel {
        /// From where.
        peer: String,
        /// Where to.
        to: String,
        /// The last answer.
        why: String,
        /// What to do.
        hint: String,
    },
    /// A jump host on the way failed.
    #[error("cannot reach {peer} through its jump host: {source}")]
    Jump {
        /// The host behind the jump host.
        peer: String,
        /// What failed.
        #[source]
        source: Box<SshError>,
    },
}

impl SshError {
    /// Returns what to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownHostKey(_) => {
                "compare the fingerprint with the host's (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there), then run \
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

impl From<SshError> for ConnectError {
    fn from(error: SshError) -> Self {
        Self { what: error.to_string(), hint: Some(error.hint()).filter(|hint| !hint.is_empty()) }
    }
}
