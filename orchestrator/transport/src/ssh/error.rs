//! SSH errors: what failed and on which host. The cause is the source; hints are computed from it.

use std::borrow::Cow;

use apim_protocol::outcome::Failure;

use super::host_key::{KeyFault, UnknownKey};
use crate::failure;

mod exit;
mod launch;
mod setting;
mod tunnel;
mod unreachable;

pub use exit::ExitCause;
pub use launch::{LaunchError, SudoError};
pub use setting::SettingError;
pub use tunnel::TunnelError;
pub use unreachable::UnreachableError;

/// Why connecting to a host, or starting the agent there, failed.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The host key is neither pinned in the inventory nor in a known_hosts file.
    #[error("unknown host key of {}: {} {}", .0.peer, .0.algorithm, .0.fingerprint)]
    UnknownHostKey(Box<UnknownKey>),
    /// The host key was rejected.
    #[error(transparent)]
    HostKey(Box<KeyFault>),
    /// The connection failed.
    #[error("cannot connect to {peer}")]
    Unreachable {
        /// Display name of the host.
        peer: String,
        /// The cause.
        source: UnreachableError,
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
        /// Whether the server closed the connection after several attempts.
        is_cut_off: bool,
        /// The server's banner.
        banner: Option<String>,
    },
    /// A setting is invalid or unsupported.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The agent cannot be installed or started.
    #[error("cannot start the agent on {peer}")]
    Launch {
        /// Display name of the host.
        peer: String,
        /// The cause.
        source: LaunchError,
    },
    /// An address cannot be reached from the host.
    #[error("cannot reach {to} from {peer}")]
    Tunnel {
        /// Display name of the host.
        peer: String,
        /// Address and port.
        to: String,
        /// The cause.
        source: TunnelError,
    },
    /// A jump host failed.
    #[error("cannot reach {peer} through its jump host")]
    Jump {
        /// The host behind the jump host.
        peer: String,
        /// The error of the jump host.
        source: Box<SshError>,
    },
}

impl SshError {
    /// Returns what to do next, if known.
    #[must_use]
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::UnknownHostKey(_) => Some(
                "compare the fingerprint with the output of `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host, then run \
                with --accept-new-host-keys, or pin the key in the inventory with `apim_host_keys`"
                    .into(),
            ),
            Self::HostKey(fault) => Some(fault.hint().into()),
            Self::Unreachable { source, .. } => source.hint().map(Cow::Borrowed),
            Self::Authentication { user, is_cut_off, banner, .. } => {
                Some(authentication_hint(user, *is_cut_off, banner.as_deref()).into())
            }
            Self::Setting(error) => error.hint().map(Cow::Borrowed),
            Self::Launch { source, .. } => source.hint(),
            Self::Tunnel { source, .. } => source.hint().map(Cow::Borrowed),
            Self::Jump { source, .. } => source.hint(),
        }
    }

    /// Returns the unknown host key that caused this error, of the host itself or of a jump host.
    #[must_use]
    pub fn unknown_key(&self) -> Option<&UnknownKey> {
        match self {
            Self::UnknownHostKey(key) => Some(key),
            Self::Jump { source, .. } => source.unknown_key(),
            Self::HostKey(_)
            | Self::Unreachable { .. }
            | Self::Authentication { .. }
            | Self::Setting(_)
            | Self::Tunnel { .. }
            | Self::Launch { .. } => None,
        }
    }
}

fn authentication_hint(user: &str, is_cut_off: bool, banner: Option<&str>) -> String {
    let mut hint = if is_cut_off {
        "the server closed the connection after several attempts, possibly because of MaxAuthTries; set the right key in the inventory \
         (`ansible_ssh_private_key_file`) and set `IdentitiesOnly yes` in the ssh configuration"
            .to_owned()
    } else {
        format!(
            "check the server's log; set the key and the user in the inventory \
             (`ansible_ssh_private_key_file`, `ansible_user`), and add the public key to `~{user}/.ssh/authorized_keys` on the host"
        )
    };
    if let Some(banner) = banner {
        hint.push_str(&format!("; server banner: {banner}"));
    }
    hint
}

impl From<SshError> for Failure {
    fn from(error: SshError) -> Self {
        failure::from_error(&error, error.hint().map(Cow::into_owned))
    }
}
