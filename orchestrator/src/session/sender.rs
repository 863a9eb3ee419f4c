//! The sending half of a session: messages and content, queued to one writing task, so that a cancelled call never leaves half a frame.

use std::sync::Arc;
use std::time::Duration;

use apim_protocol::message::{Request, Run, StepId};
use apim_protocol::value::Sha256;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;

use super::error::SessionError;
use super::frame;

/// Frames that may wait to be written. With chunks of 256 KiB this bounds the memory of a transfer.
const QUEUE: usize = 4;

/// When nothing else was sent for so long, a sign of life is.
const ALIVE_EVERY: Duration = Duration::from_secs(20);

/// After so much silence the agent takes us for gone and frees the host (a laptop may nap for less).
const ALIVE_WITHIN_SECS: u32 = 120;

/// Sends requests to one agent; clones send over the same stream.
///
/// When the last clone is dropped the agent's input ends: it finishes the step in hand and leaves.
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

    /// Answers a step that asked for leave; `refused` says why not.
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn leave(&self, step: StepId, refused: Option<String>) -> Result<(), SessionError> {
        self.send(&Request::PermitDecision { step, refused }).await
    }

    /// Says that content asked for cannot be sent, and why.
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn no_content(&self, sha256: Sha256, why: String) -> Result<(), SessionError> {
        self.send(&Request::NoContent { sha256, why }).await
    }

    /// Asks the agent to start no further step.
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn cancel(&self) -> Result<(), SessionError> {
        self.send(&Request::Cancel).await
    }

    /// Asks the agent to forget an earlier failure.
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn resume(&self) -> Result<(), SessionError> {
        self.send(&Request::Resume).await
    }

    /// Says that nothing more will come: the agent finishes its queue, says Bye and leaves.
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
            awaited: "room to send".to_owned(),
            last: "nothing more is taken".to_owned(),
            ended: "the far side takes no more input".to_owned(),
        })
    }

    pub(super) fn peer(&self) -> &str {
        &self.peer
    }
}

/// Writes queued frames until all senders are gone or the stream fails; what failed is told by the receiving half.
///
/// Behind the first frame, and whenever it has been quiet, goes a sign of life: without one for a while the agent leaves, so that
/// a network that was cut does not keep a host locked until its kernel gives the connection up.
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
    // The link may be gone already; there is nobody left to tell.
    drop(writer.shutdown().await);
}
