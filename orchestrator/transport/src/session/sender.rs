//! The sending half of a session: messages and content are queued to one writing task, so that a
//! cancelled call never leaves a partial frame.

use std::sync::Arc;
use std::time::Duration;

use apim_protocol::message::{Request, Run, StepId};
use apim_protocol::value::Sha256;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;

use super::error::SessionError;
use super::frame;

/// Maximum number of queued frames. With chunks of 256 KiB, this bounds the memory of a transfer.
const QUEUE: usize = 4;

/// Idle time after which a keepalive is sent.
const ALIVE_EVERY: Duration = Duration::from_secs(20);

/// Time without a message after which the agent exits and releases the host's lock (long enough for
/// a laptop that sleeps briefly).
const ALIVE_WITHIN_SECS: u32 = 120;

/// Sends requests to one agent; clones send over the same stream.
///
/// When the last clone is dropped, the agent's input is closed: it finishes the current step and
/// exits.
#[derive(Clone)]
pub struct Sender {
    peer: Arc<str>,
    queue: mpsc::Sender<Bytes>,
}

impl Sender {
    pub(super) fn start(peer: Arc<str>, writer: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        let (queue, frames) = mpsc::channel(QUEUE);
        tokio::spawn(write_frames(writer, frames));
        Self { peer, queue }
    }

    /// Queues one operation on the host.
    ///
    /// # Errors
    /// When the link has ended or the message is too long.
    pub async fn run(&self, run: Run) -> Result<(), SessionError> {
        self.send(&Request::Run(Box::new(run))).await
    }

    /// Answers a step's request for a disruption permit; `refused` is the reason for a refusal.
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn permit_decision(&self, step: StepId, refused: Option<String>) -> Result<(), SessionError> {
        self.send(&Request::PermitDecision { step, refused }).await
    }

    /// Reports that requested content cannot be sent, and why.
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn no_content(&self, sha256: Sha256, why: String) -> Result<(), SessionError> {
        self.send(&Request::NoContent { sha256, why }).await
    }

    /// Requests that the agent starts no further step.
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn cancel(&self) -> Result<(), SessionError> {
        self.send(&Request::Cancel).await
    }

    /// Requests that the agent continues after a failed step.
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn resume(&self) -> Result<(), SessionError> {
        self.send(&Request::Resume).await
    }

    /// Announces the end of the session: the agent finishes its queue, sends Bye and exits.
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn goodbye(&self) -> Result<(), SessionError> {
        self.send(&Request::Goodbye).await
    }

    /// Sends any request.
    ///
    /// # Errors
    /// When the link has ended or the message is too long.
    pub async fn send(&self, request: &Request) -> Result<(), SessionError> {
        let frame = frame::message(request).map_err(|length| SessionError::TooLong {
            peer: self.peer.to_string(),
            length,
            limit: apim_protocol::frame::MESSAGE_LIMIT,
        })?;
        self.push(frame).await
    }

    pub(super) async fn push(&self, frame: Bytes) -> Result<(), SessionError> {
        self.queue.send(frame).await.map_err(|_| SessionError::Ended {
            peer: self.peer.to_string(),
            awaited: "the send queue".to_owned(),
            last: "none".to_owned(),
            ended: "the agent's input is closed".to_owned(),
        })
    }

    pub(super) fn peer(&self) -> &str {
        &self.peer
    }
}

/// Writes queued frames until all senders are dropped or the stream fails; the receiving half
/// reports the error.
///
/// A keepalive follows the first frame and every idle period. The agent exits if it receives none
/// for a while, so that a network failure does not keep a host locked until its kernel closes the
/// connection.
async fn write_frames(mut writer: Box<dyn AsyncWrite + Send + Unpin>, mut frames: mpsc::Receiver<Bytes>) {
    let alive = frame::message(&Request::Alive { within_secs: ALIVE_WITHIN_SECS }).unwrap_or_default();
    let mut opened = false;
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => frame,
                None => break,
            },
            () = tokio::time::sleep(ALIVE_EVERY), if opened => alive.clone(),
        };
        if writer.write_all(&frame).await.is_err() {
            return;
        }
        if !opened && writer.write_all(&alive).await.is_err() {
            return;
        }
        opened = true;
        if frames.is_empty() && writer.flush().await.is_err() {
            return;
        }
    }
    // The link may be closed already; the receiving half reports the error.
    drop(writer.shutdown().await);
}
