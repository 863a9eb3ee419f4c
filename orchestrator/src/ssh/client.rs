//! One SSH connection: key exchange with the host's key judged, keepalives, and what the server said of its own accord.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{Config, DisconnectReason, Handle, Handler, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Preferred, cipher, compression};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::session::text::one_line;

use super::error::SshError;
use super::host_key::{Trust, Verdict};

/// A connection is probed when the host was silent for so long.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// It is given up after so many probes without an answer.
const KEEPALIVES: usize = 3;

/// The fastest of the authenticated ciphers first.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// A connection that was made, and what is heard of it besides its channels.
pub(super) type Client = Handle<Watch>;

/// Watches over one connection.
pub(super) struct Watch {
    trust: Arc<Trust>,
    heard: Heard,
}

/// What the server said of its own accord; shared between the connection and its owner.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<HeardParts>>);

#[derive(Debug, Default)]
struct HeardParts {
    banner: String,
    ended: Option<String>,
}

impl Heard {
    /// Returns the server's banner as one line, where it sent one.
    pub(super) fn banner(&self) -> Option<String> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(heard.banner.clone()).filter(|banner| !banner.is_empty())
    }

    /// Returns why the connection ended, in words, where that is known.
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
        match self.trust.judge(shown) {
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
                self.heard.set(|heard| heard.ended = Some(format!("the server ended it: {words}")));
                Ok(())
            }
            DisconnectReason::Error(error) => {
                let words = match &error {
                    ClientError::Ssh(error) => words(error),
                    ClientError::Key(_) => "the host showed another key".to_owned(),
                };
                self.heard.set(|heard| heard.ended = Some(words));
                Err(error)
            }
        }
    }
}

/// Returns what a fault of the SSH layer means.
pub(super) fn words(error: &russh::Error) -> String {
    match error {
        russh::Error::HUP | russh::Error::Disconnect | russh::Error::SendError | russh::Error::RecvError => {
            "the connection was closed by the host".to_owned()
        }
        russh::Error::KeepaliveTimeout => {
            let silent = KEEPALIVE.as_secs() * (KEEPALIVES as u64 + 1);
            format!("the host did not answer for {silent} s")
        }
        russh::Error::IO(error) => format!("the connection broke: {error}"),
        russh::Error::NoCommonAlgo { kind, ours, theirs } => {
            let theirs = one_line(theirs.join(", ").as_bytes(), 500);
            format!("no {kind:?} algorithm in common: it offers {theirs}; we take {}", ours.join(", "))
        }
        russh::Error::Version => "it does not speak SSH 2".to_owned(),
        other => one_line(other.to_string().as_bytes(), 500),
    }
}

/// Makes an SSH connection over `stream`: version and key exchange, with the host's key judged before anything else is said.
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
    let unreachable =
        |why: String, hint: &str| SshError::Unreachable { peer: peer.to_owned(), why, hint: hint.to_owned() };
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
            Err(HandshakeError::Dropped(unreachable(String::new(), "")))
        }
        Ok(Err(ClientError::Ssh(error))) => {
            let why = format!("the SSH handshake failed: {}", words(&error));
            match error {
                // What a server does that is asked by too many at once.
                russh::Error::HUP | russh::Error::Disconnect | russh::Error::IO(_) => {
                    Err(HandshakeError::Dropped(unreachable(
                        why,
                        "does sshd let this machine in (MaxStartups, hosts.deny, fail2ban)? look at its log",
                    )))
                }
                _ => Err(HandshakeError::Final(unreachable(why, "is it an SSH server that listens there?"))),
            }
        }
        Err(_) => Err(HandshakeError::Final(unreachable(
            format!("no answer to the SSH handshake within {} s", deadline.as_secs()),
            "is it an SSH server that listens there, and is the host overloaded?",
        ))),
    }
}

/// Why there is no connection, and whether another try makes sense.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// The server dropped us before it said anything: it may be busy.
    Dropped(SshError),
    /// Trying again would give the same.
    Final(SshError),
}
