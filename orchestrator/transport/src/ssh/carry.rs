//! Streams of a running agent over its SSH channel. Shutdown: the input is closed, and the channel
//! five seconds later if the agent has not exited.

use std::sync::Arc;
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::session::Link;
use crate::session::text::{Tail, one_line};

use super::connection::Opened;
use super::stream::{ChannelReader, ChannelWriter, next_piece};

/// Time for the agent to exit after its input was closed and nothing reads its output.
const EXIT_GRACE: Duration = Duration::from_secs(5);

/// Maximum number of queued output pieces.
const ARRIVING: usize = 16;

/// A channel on which the agent has started to send.
pub(super) struct Started {
    pub(super) opened: Arc<Opened>,
    pub(super) reader: ChannelReadHalf,
    pub(super) writer: Arc<ChannelWriteHalf<Msg>>,
    /// The output received so far.
    pub(super) said: Bytes,
    pub(super) stderr: Tail,
}

/// Returns the link over the channel.
pub(super) fn link(peer: &str, started: Started) -> Link {
    let Started { opened, reader, writer, said, stderr } = started;
    let (input, pieces) = ChannelWriter::new();
    let (out, arriving) = mpsc::channel(ARRIVING);
    let (ended, words) = oneshot::channel();
    let over = CancellationToken::new();
    tokio::spawn(send(Arc::clone(&writer), pieces, over.clone()));
    tokio::spawn(async move {
        let ending = receive(reader, &writer, out, stderr).await;
        over.cancel();
        // The receiver may have been dropped.
        ended.send(ending.words(&opened)).ok();
        opened.client.disconnect(russh::Disconnect::ByApplication, "", "").await.ok();
    });
    Link {
        peer: peer.to_owned(),
        builds: Vec::new(),
        reader: Box::new(ChannelReader::new(said, arriving)),
        writer: Box::new(input),
        ended: Box::pin(
            async move { words.await.unwrap_or_else(|_| "the connection was closed".to_owned()) },
        ),
    }
}

/// Sends all pieces, then closes the agent's input.
async fn send(
    writer: Arc<ChannelWriteHalf<Msg>>,
    mut pieces: mpsc::Receiver<Bytes>,
    over: CancellationToken,
) {
    let sending = async {
        while let Some(piece) = next_piece(&mut pieces).await {
            writer.data_bytes(piece).await?;
        }
        writer.eof().await
    };
    // A closed channel never grants more window: without this, the wait for it would not end.
    tokio::select! {
        sent = sending => drop(sent),
        () = over.cancelled() => {}
    }
}

#[derive(Default)]
struct Ending {
    stderr: Tail,
    status: Option<u32>,
    signal: Option<String>,
}

/// Receives until the channel is closed. When nothing reads the output any more, the agent gets
/// [`EXIT_GRACE`] to exit.
async fn receive(
    mut reader: ChannelReadHalf,
    writer: &ChannelWriteHalf<Msg>,
    out: mpsc::Sender<Bytes>,
    stderr: Tail,
) -> Ending {
    let mut ending = Ending { stderr, ..Ending::default() };
    let mut out = Some(out);
    let mut until: Option<Instant> = None;
    loop {
        let message = tokio::select! {
            message = reader.wait() => message,
            () = closed(out.as_ref()) => {
                out = None;
                until = Some(Instant::now() + EXIT_GRACE);
                continue;
            }
            () = sleep_until(until) => {
                writer.close().await.ok();
                return ending;
            }
        };
        match message {
            Some(ChannelMsg::Data { data }) => {
                if let Some(out) = &out {
                    // A dropped reader is detected by `closed` above.
                    out.send(data).await.ok();
                }
            }
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => ending.stderr.push(&data),
            Some(ChannelMsg::ExitStatus { exit_status }) => ending.status = Some(exit_status),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                ending.signal = Some(format!("{signal_name:?}"))
            }
            Some(_) => {}
            None => return ending,
        }
    }
}

async fn closed(out: Option<&mpsc::Sender<Bytes>>) {
    match out {
        Some(out) => out.closed().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

impl Ending {
    fn words(&self, opened: &Opened) -> String {
        let how = match (self.status, &self.signal) {
            (Some(status), _) => format!("the agent exited with status {status}"),
            (None, Some(signal)) => format!("the agent was killed ({})", one_line(signal.as_bytes(), 40)),
            // No status: the agent may still be running. It finishes the current step and exits.
            (None, None) => {
                let why = opened.heard.ended().unwrap_or_else(|| "the host closed the channel".to_owned());
                format!("the connection was lost: {why}")
            }
        };
        match self.stderr.quoted() {
            stderr if stderr.is_empty() => how,
            stderr => format!("{how}; standard error:{stderr}"),
        }
    }
}
