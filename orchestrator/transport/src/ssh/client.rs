//! One SSH connection: key exchange with host key verification, keepalives, and unsolicited
//! messages of the server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{Config, DisconnectReason, Handle, Handler, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Preferred, cipher, compression};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::session::text::one_line;

use super::error::{SshError, UnreachableError};
use super::host_key::{Trust, Verdict};

/// Idle time after which a keepalive is sent.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Number of unanswered keepalives after which the connection is closed.
const KEEPALIVES: usize = 3;

/// Ciphers in order of preference: the fastest authenticated cipher first.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// Handle of an established connection.
pub(super) type Client = Handle<Watch>;

/// Event handler of one connection.
pub(super) struct Watch {
    trust: Arc<Trust>,
    heard: Heard,
}

/// Banner and disconnect reason of the server; shared between the connection and its owner.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<HeardParts>>);

#[derive(Debug, Default)]
struct HeardParts {
    banner: String,
    ended: Option<String>,
}

impl Heard {
    /// Returns the server's banner as one line, if it sent one.
    pub(super) fn banner(&self) -> Option<String> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(heard.banner.clone()).filter(|banner| !banner.is_empty())
    }

    /// Returns why the connection ended, if known.
    pub(super) fn ended(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended.clone()
    }

    fn set(&self, change: impl FnOnce(&mut HeardParts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Why a key exchange failed.
#[derive(Debug)]
pub(super) enum ClientError {
    Ssh(russh::Error),
    Key(Verdict),
}

impl From<russh::Error> for ClientError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl Handler for Watch {
    type Error = ClientError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, ClientError> {
        match self.trust.verify(shown) {
            Verdict::Trusted => Ok(true),
            verdict @ (Verdict::Unknown(_) | Verdict::Refused(_)) => Err(ClientError::Key(verdict)),
        }
    }

    async fn auth_banner(&mut self, banner: &str, _session: &mut Session) -> Result<(), ClientError> {
        self.heard.set(|heard| heard.banner = one_line(banner.as_bytes(), 500));
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<ClientError>) -> Result<(), ClientError> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                let words = one_line(info.message.as_bytes(), 500);
                self.heard.set(|heard| heard.ended = Some(format!("disconnected by the server: {words}")));
                Ok(())
            }
            DisconnectReason::Error(error) => {
                let words = match &error {
                    ClientError::Ssh(error) => words(error),
                    ClientError::Key(_) => "the host presented a different key".to_owned(),
                };
                self.heard.set(|heard| heard.ended = Some(words));
                Err(error)
            }
        }
    }
}

/// Describes an error of the SSH layer.
pub(super) fn words(error: &russh::Error) -> String {
    match error {
        russh::Error::HUP | russh::Error::Disconnect | russh::Error::SendError | russh::Error::RecvError => {
            "the connection was closed by the host".to_owned()
        }
        russh::Error::KeepaliveTimeout => {
            let silent = KEEPALIVE.as_secs() * (KEEPALIVES as u64 + 1);
            format!("the host did not answer for {silent} s")
        }
        russh::Error::IO(error) => format!("connection lost: {error}"),
        russh::Error::NoCommonAlgo { kind, ours, theirs } => {
            let theirs = one_line(theirs.join(", ").as_bytes(), 500);
            format!(
                "no common {kind:?} algorithm: the server offers {theirs}; apim-deploy accepts {}",
                ours.join(", ")
            )
        }
        russh::Error::Version => "the server does not support SSH 2".to_owned(),
        other => one_line(other.to_string().as_bytes(), 500),
    }
}

/// Opens an SSH connection over `stream`: version and key exchange. The host key is verified before
/// anything else is sent.
pub(super) async fn handshake<S>(
    peer: &str,
    stream: S,
    trust: Arc<Trust>,
    deadline: Duration,
) -> Result<(Client, Heard), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = Config {
        window_size: 8 * 1024 * 1024,
        maximum_packet_size: 32 * 1024,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES,
        nodelay: true,
        preferred: Preferred {
            key: trust.key_algorithms().into(),
            host_key_certificates: trust.certificate_algorithms().into(),
            cipher: CIPHERS.into(),
            compression: [compression::NONE].as_slice().to_vec().into(),
            ..Preferred::DEFAULT
        },
        ..Config::default()
    };
    let heard = Heard::default();
    let watch = Watch { trust, heard: heard.clone() };
    let unreachable = |source| SshError::Unreachable { peer: peer.to_owned(), source };
    match tokio::time::timeout(deadline, russh::client::connect_stream(Arc::new(config), stream, watch)).await
    {
        Ok(Ok(client)) => Ok((client, heard)),
        Ok(Err(ClientError::Key(Verdict::Unknown(key)))) => {
            Err(HandshakeError::Final(SshError::UnknownHostKey(key)))
        }
        Ok(Err(ClientError::Key(Verdict::Refused(fault)))) => {
            Err(HandshakeError::Final(SshError::HostKey(fault)))
        }
        Ok(Err(ClientError::Key(Verdict::Trusted))) => {
            // Not an error of the handler.
            Err(HandshakeError::Dropped(unreachable(UnreachableError::HandshakeDropped(String::new()))))
        }
        Ok(Err(ClientError::Ssh(error))) => {
            let why = words(&error);
            match error {
                // Typical of a server with too many connections at once.
                russh::Error::HUP | russh::Error::Disconnect | russh::Error::IO(_) => {
                    Err(HandshakeError::Dropped(unreachable(UnreachableError::HandshakeDropped(why))))
                }
                _ => Err(HandshakeError::Final(unreachable(UnreachableError::Handshake(why)))),
            }
        }
        Err(_) => {
            let source = UnreachableError::HandshakeTimeout { secs: deadline.as_secs() };
            Err(HandshakeError::Final(unreachable(source)))
        }
    }
}

/// Why a handshake failed, and whether a retry makes sense.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// The server closed the connection before the key exchange was complete: it may be busy.
    Dropped(SshError),
    /// A retry would fail the same way.
    Final(SshError),
}
