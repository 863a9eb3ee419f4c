//! Opening a conversation over a link, and its two halves.

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

/// How long the agent's first bytes may take.
pub const MAGIC_DEADLINE: Duration = Duration::from_secs(30);

/// How long Hello may take: the agent reads its facts and takes the host's lock, it does not wait for it.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(30);

/// How much of the noise before the magic is shown in an error, in bytes.
const NOISE_SHOWN: usize = 2000;

/// One open conversation with one agent.
///
/// When both halves are dropped the agent's input ends: it finishes the step in hand and leaves.
pub struct Session {
    sender: Sender,
    receiver: Receiver,
}

impl Session {
    /// Opens the conversation: waits for the agent's first bytes, says `open`, and returns the session with the agent's Hello.
    ///
    /// # Errors
    /// When no agent answers in time, it is not the one expected, or it refuses because another run holds the host.
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
                return Err(no_agent(&receiver, format!("{NOISE_LIMIT} bytes of something else came first")));
            }
            Ok(Ok(false) | Err(_)) => {
                let ended = receiver.last_words().await;
                return Err(no_agent(&receiver, ended));
            }
            Err(_) => {
                let waited = MAGIC_DEADLINE.as_secs();
                return Err(no_agent(
                    &receiver,
                    format!("nothing that an agent says came within {waited} s"),
                ));
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
    let awaited = "the agent's hello";
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
            why: format!("instead of hello came: {}", describe(&other)),
        }),
        None => Err(receiver.end(awaited).await),
    }
}

fn no_agent(receiver: &Receiver, why: String) -> SessionError {
    let unread = receiver.frames.unread();
    let shown = unread.get(..NOISE_SHOWN).unwrap_or(unread);
    let noise =
        if shown.is_empty() { String::new() } else { format!("; it said:{}", quoted(shown, NOISE_SHOWN)) };
    SessionError::NoAgent { peer: receiver.peer.to_string(), why, noise }
}
