//! Causes of a failed connection: name, address, handshake, jump host.

use std::io;
use std::net::SocketAddr;

/// Why a connection to a host failed. Texts of the server are bounded and printable.
#[derive(Debug, thiserror::Error)]
pub enum UnreachableError {
    /// The name has no answer of a name server.
    #[error("cannot resolve `{address}`")]
    Resolve {
        /// The name.
        address: String,
        /// The error of the resolver.
        source: io::Error,
    },
    /// The name servers did not answer.
    #[error("resolving `{address}` timed out after {secs} s")]
    ResolveTimeout {
        /// The name.
        address: String,
        /// The timeout in seconds.
        secs: u64,
    },
    /// The name has no address.
    #[error("`{0}` has no address")]
    NoAddress(String),
    /// The port is closed.
    #[error("{0} refused the connection")]
    Refused(SocketAddr),
    /// The network has no route to the host.
    #[error("no route to {0}")]
    NoRoute(SocketAddr),
    /// This machine has no route to the network.
    #[error("the network of {0} is unreachable")]
    NoNetwork(SocketAddr),
    /// The address did not answer.
    #[error("timed out after {secs} s connecting to {socket}")]
    Timeout {
        /// The address and port.
        socket: SocketAddr,
        /// The timeout in seconds.
        secs: u64,
    },
    /// Any other error of the connection.
    #[error("connecting to {socket} failed")]
    Connect {
        /// The address and port.
        socket: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// An option of the socket cannot be set.
    #[error("cannot configure the socket")]
    Socket(#[source] io::Error),
    /// The server closed the connection during the handshake.
    #[error("the SSH handshake failed: {0}")]
    HandshakeDropped(String),
    /// The handshake failed.
    #[error("the SSH handshake failed: {0}")]
    Handshake(String),
    /// The server did not answer to the handshake.
    #[error("no answer to the SSH handshake within {secs} s")]
    HandshakeTimeout {
        /// The timeout in seconds.
        secs: u64,
    },
    /// The jump host refused to open the channel.
    #[error("the jump host could not connect to {to} ({reason})")]
    JumpRefused {
        /// Address and port.
        to: String,
        /// The jump host's reason.
        reason: String,
    },
    /// The connection to the jump host failed.
    #[error("the jump host failed: {0}")]
    JumpFailed(String),
    /// The jump host did not connect in time.
    #[error("the jump host did not reach {to} within {secs} s")]
    JumpTimeout {
        /// Address and port.
        to: String,
        /// The timeout in seconds.
        secs: u64,
    },
}

impl UnreachableError {
    /// Returns the error of an attempt to connect to `socket`.
    pub(in crate::ssh) fn connecting(socket: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused(socket),
            io::ErrorKind::HostUnreachable => Self::NoRoute(socket),
            io::ErrorKind::NetworkUnreachable => Self::NoNetwork(socket),
            _ => Self::Connect { socket, source },
        }
    }

    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Resolve { .. } => Some("correct the name, or set the address with `ansible_host`"),
            Self::ResolveTimeout { .. } => {
                Some("check the name servers of this machine, or set the address with `ansible_host`")
            }
            Self::NoAddress(_) => Some("set the address with `ansible_host`"),
            Self::Refused(_) => {
                Some("check that sshd is running and listening on that port (`ansible_port`)")
            }
            Self::NoRoute(_) => {
                Some("check that the host is up and in a network that this machine can reach")
            }
            Self::NoNetwork(_) => Some("check the routes and the VPN of this machine"),
            Self::Timeout { .. } => {
                Some("check that the host is up and that firewalls allow this machine to reach that port")
            }
            Self::Connect { .. } | Self::Socket(_) => None,
            Self::HandshakeDropped(_) => Some(
                "check that sshd accepts connections from this machine (MaxStartups, hosts.deny, fail2ban), and its log",
            ),
            Self::Handshake(_) => Some("check that the port belongs to an SSH server"),
            Self::HandshakeTimeout { .. } => {
                Some("check that the port belongs to an SSH server and that the host is not overloaded")
            }
            Self::JumpRefused { .. } | Self::JumpFailed(_) | Self::JumpTimeout { .. } => Some(
                "check that the jump host can reach that address and that its sshd allows forwarding (AllowTcpForwarding)",
            ),
        }
    }
}
