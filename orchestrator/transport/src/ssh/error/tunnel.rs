//! Causes of a failed tunnel from a host to an address.

/// Why an address cannot be reached from a host.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// sshd does not forward.
    #[error("sshd on the host does not allow forwarding")]
    Forbidden,
    /// The port is closed or the name unknown.
    #[error("the connection was refused, or the host cannot resolve the name")]
    Refused,
    /// The connection to the host failed.
    #[error("{0}")]
    Connection(String),
    /// The address did not answer.
    #[error("no answer within {secs} s")]
    Timeout {
        /// The timeout in seconds.
        secs: u64,
    },
}

impl TunnelError {
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Forbidden => Some(
                "allow it for this account: set `AllowTcpForwarding local` (or `yes`) in sshd_config on the host",
            ),
            Self::Refused => Some(
                "check that the server is running and listening on that address and port, and that the host can resolve its name",
            ),
            Self::Connection(_) => None,
            Self::Timeout { .. } => Some("check that firewalls allow the host to reach that port"),
        }
    }
}
