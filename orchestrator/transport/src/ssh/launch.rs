//! Starts the agent over an SSH connection with one exec, which also uploads a missing agent and
//! passes the password to sudo.

use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apim_protocol::frame::NOISE_LIMIT;
use apim_protocol::value::Secret;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::time::Instant;
use tokio_util::bytes::Bytes;

use crate::host::Connection;
use crate::session::Link;

use super::agent_binary::AgentBinaries;
use super::carry::{self, Started};
use super::client::words;
use super::connection::Opened;
use super::error::{ExitCause, LaunchError, SshError};
use super::opening::{Opening, Step, TooMuchOutput};
use super::script::start_command;
use super::stream::PIECE;

/// Timeout for the start of the agent and for each answer of the host during the start.
const START: Duration = Duration::from_secs(30);

/// Timeout for the upload of the agent.
const UPLOAD: Duration = Duration::from_secs(300);

/// Starts the agent as set in `connection`, over a connection authenticated as `user`.
pub(super) async fn start(
    opened: Arc<Opened>,
    peer: &str,
    user: &str,
    connection: &Connection,
    agents: &AgentBinaries,
) -> Result<Link, SshError> {
    let failed = |source| SshError::Launch { peer: peer.to_owned(), source };
    let mark = nonce().map_err(|error| failed(LaunchError::Random(error)))?;
    let command = start_command(connection, user, agents, &mark).map_err(|unfit| failed(unfit.into()))?;
    let channel = open_channel(&opened, &command.text).await.map_err(failed)?;
    let (reader, writer) = channel.split();
    let password = connection.escalate.as_ref().and_then(|escalate| escalate.password.clone());
    let mut starting = Starting {
        opened: &opened,
        password,
        agents,
        reader,
        writer: Arc::new(writer),
        opening: Opening::new(&command),
        status: None,
    };
    starting.run().await.map_err(failed)?;
    let Starting { reader, writer, opening, .. } = starting;
    let (said, stderr) = opening.into_parts();
    let mut link = carry::link(peer, Started { opened, reader, writer, said: said.into(), stderr });
    link.builds = agents.iter().map(|(_, binary)| binary.sha256.to_string()).collect();
    Ok(link)
}

async fn open_channel(opened: &Opened, command: &str) -> Result<Channel<Msg>, LaunchError> {
    let opening = async {
        let channel = opened.client.channel_open_session().await?;
        channel.exec(true, command).await?;
        Ok::<_, russh::Error>(channel)
    };
    match tokio::time::timeout(START, opening).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(LaunchError::Channel(words(&error))),
        Err(_) => Err(LaunchError::ChannelTimeout { secs: START.as_secs() }),
    }
}

type Upload = Pin<Box<dyn Future<Output = Result<(), LaunchError>> + Send>>;

struct Starting<'a> {
    opened: &'a Opened,
    password: Option<Secret>,
    agents: &'a AgentBinaries,
    reader: ChannelReadHalf,
    writer: Arc<ChannelWriteHalf<Msg>>,
    opening: Opening,
    status: Option<u32>,
}

impl Starting<'_> {
    /// Returns when the agent's first bytes have arrived.
    async fn run(&mut self) -> Result<(), LaunchError> {
        let mut until = Instant::now() + START;
        let mut upload: Option<Upload> = None;
        loop {
            let message = tokio::select! {
                message = self.reader.wait() => message,
                done = poll_upload(&mut upload) => {
                    upload = None;
                    until = Instant::now() + START;
                    done?;
                    continue;
                }
                () = tokio::time::sleep_until(until) => {
                    return Err(LaunchError::Timeout { output: self.opening.shown() });
                }
            };
            let Some(message) = message else { return Err(self.ended()) };
            match self.take(message)? {
                Step::Wait => {}
                Step::Started => return Ok(()),
                Step::Password => self.send_password().await?,
                Step::Missing(architecture) => {
                    until = Instant::now() + UPLOAD;
                    upload = Some(self.upload(&architecture)?);
                }
            }
        }
    }

    fn take(&mut self, message: ChannelMsg) -> Result<Step, LaunchError> {
        match message {
            ChannelMsg::Data { data } => self.opening.said(&data).map_err(|TooMuchOutput| {
                LaunchError::Noise { limit: NOISE_LIMIT, output: self.opening.shown() }
            }),
            ChannelMsg::ExtendedData { data, ext: 1 } => Ok(self.opening.on_stderr(&data)),
            ChannelMsg::ExitStatus { exit_status } => {
                self.status = Some(exit_status);
                Ok(Step::Wait)
            }
            ChannelMsg::Failure => Err(LaunchError::NoCommands),
            _ => Ok(Step::Wait),
        }
    }

    async fn send_password(&mut self) -> Result<(), LaunchError> {
        // Sent only once: sudo asks again only if the password was wrong.
        let Some(password) = self.password.take() else {
            return Err(LaunchError::PasswordRejected);
        };
        let line = Bytes::from(format!("{}\n", password.expose()));
        self.writer.data_bytes(line).await.map_err(|error| LaunchError::Send(words(&error)))
    }

    fn upload(&self, architecture: &str) -> Result<Upload, LaunchError> {
        let Some(binary) = self.agents.get(architecture).cloned() else {
            let have = Some(self.agents.architectures()).filter(|have| !have.is_empty());
            let available = have.unwrap_or_else(|| "none".to_owned());
            return Err(LaunchError::NoAgent { architecture: architecture.to_owned(), available });
        };
        let writer = Arc::clone(&self.writer);
        Ok(Box::pin(async move {
            let unreadable = |source| LaunchError::ReadAgent { path: binary.path.clone(), source };
            let bytes = binary.bytes().await.map_err(unreadable)?;
            let head = format!("{} {}\n", bytes.len(), binary.sha256);
            let send = async {
                writer.data_bytes(Bytes::from(head)).await?;
                for at in (0..bytes.len()).step_by(PIECE) {
                    writer.data_bytes(bytes.slice(at..bytes.len().min(at + PIECE))).await?;
                }
                Ok::<_, russh::Error>(())
            };
            send.await.map_err(|error| LaunchError::Send(words(&error)))
        }))
    }

    fn ended(&self) -> LaunchError {
        let output = self.opening.shown();
        match self.status {
            Some(status) => {
                let cause = ExitCause::of(status, &self.opening.stderr().text());
                LaunchError::Exited { cause, status, output }
            }
            None => {
                let why =
                    self.opened.heard.ended().unwrap_or_else(|| "the host closed the channel".to_owned());
                LaunchError::Lost { why, output }
            }
        }
    }
}

async fn poll_upload(upload: &mut Option<Upload>) -> Result<(), LaunchError> {
    match upload {
        Some(upload) => upload.await,
        None => std::future::pending().await,
    }
}

/// Returns 16 random bytes in hexadecimal: a marker that the host cannot print by chance.
pub(super) fn nonce() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex::encode(bytes))
}
