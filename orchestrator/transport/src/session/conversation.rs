//! Opens a session over a link and splits it into its two halves.

use std::sync::Arc;
use std::time::Duration;

use apim_protocol::frame::NOISE_LIMIT;
use apim_protocol::message::{Hello, Open, Reply, Request};

use super::Link;
use super::error::SessionError;
use super::frame::FrameReader;
use super::receiver::{Receiver, describe};
use super::sender::Sender;
use super::text::quoted;

/// Timeout for the agent's first bytes.
pub const MAGIC_DEADLINE: Duration = Duration::from_secs(30);

/// Timeout for Hello. The agent collects facts and tries to take the host's lock; it does not wait
/// for the lock.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(30);

/// Maximum amount of noise before the magic that is shown in an error, in bytes.
const NOISE_SHOWN: usize = 2000;

/// An open session with one agent.
///
/// When both halves are dropped, the agent's input is closed: it finishes the current step and
/// exits.
pub struct Session {
    sender: Sender,
    receiver: Receiver,
}

impl Session {
    /// Waits for the agent's first bytes, sends `open`, and returns the session with the agent's
    /// Hello.
    ///
    /// # Errors
    /// When no agent answers in time, its build is not the expected one, or it refuses because
    /// another run holds the host's lock.
    pub async fn open(link: Link, open: Open) -> Result<(Self, Hello), SessionError> {
        let Link { peer, builds, reader, writer, ended } = link;
        let peer: Arc<str> = peer.into();
        let mut receiver = Receiver {
            peer: Arc::clone(&peer),
            frames: FrameReader::new(reader),
            ended: Some(ended),
            last: "none".to_owned(),
            over: false,
        };
        match tokio::time::timeout(MAGIC_DEADLINE, receiver.frames.skip_to_magic()).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) if receiver.frames.unread().len() >= NOISE_LIMIT => {
                return Err(no_agent(
                    &receiver,
                    format!("received {NOISE_LIMIT} bytes of unexpected output"),
                ));
            }
            Ok(Ok(false) | Err(_)) => {
                let ended = receiver.exit_reason().await;
                return Err(no_agent(&receiver, ended));
            }
            Err(_) => {
                let waited = MAGIC_DEADLINE.as_secs();
                return Err(no_agent(&receiver, format!("the agent did not start within {waited} s")));
            }
        }
        receiver.last = "the agent started".to_owned();
        let sender = Sender::start(peer, writer);
        sender.send(&Request::Open(open)).await?;
        let hello = receive_hello(&mut receiver).await?;
        if !builds.is_empty() && !builds.contains(&hello.build) {
            return Err(SessionError::OtherBuild {
                peer: receiver.peer.to_string(),
                found: hello.build,
                wanted: builds.join(" or "),
            });
        }
        Ok((Self { sender, receiver }, hello))
    }

    /// Returns the two halves, to be used by different tasks.
    #[must_use]
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }
}

async fn receive_hello(receiver: &mut Receiver) -> Result<Hello, SessionError> {
    let awaited = "the agent's Hello";
    let reply = match tokio::time::timeout(HELLO_DEADLINE, receiver.next()).await {
        Ok(reply) => reply?,
        Err(_) => {
            return Err(SessionError::TimedOut {
                peer: receiver.peer.to_string(),
                awaited: awaited.to_owned(),
                after: HELLO_DEADLINE,
                last: receiver.last.clone(),
            });
        }
    };
    match reply {
        Some(Reply::Hello(hello)) => Ok(*hello),
        Some(Reply::Refused(refused)) => {
            Err(SessionError::Refused { peer: receiver.peer.to_string(), why: refused.why })
        }
        Some(other) => Err(SessionError::Garbled {
            peer: receiver.peer.to_string(),
            why: format!("expected Hello, got {}", describe(&other)),
        }),
        None => Err(receiver.end(awaited).await),
    }
}

fn no_agent(receiver: &Receiver, why: String) -> SessionError {
    let unread = receiver.frames.unread();
    let shown = unread.get(..NOISE_SHOWN).unwrap_or(unread);
    let noise =
        if shown.is_empty() { String::new() } else { format!("; output:{}", quoted(shown, NOISE_SHOWN)) };
    SessionError::NoAgent { peer: receiver.peer.to_string(), why, noise }
}
