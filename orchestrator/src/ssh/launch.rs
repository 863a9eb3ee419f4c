//! Starting the agent over an SSH connection: one exec, which uploads the agent first where it is missing, and feeds sudo.

use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apim_protocol::value::Secret;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::time::Instant;
use tokio_util::bytes::Bytes;

use crate::inventory::host::Connection;
use crate::session::Link;

use super::agent_binary::AgentBinaries;
use super::carry;
use super::client::words;
use super::connect::Opened;
use super::error::SshError;
use super::opening::{Opening, Step};
use super::script::start_command;
use super::stream::PIECE;

/// How long the host may take to start the agent, or to answer while it is being started.
const START: Duration = Duration::from_secs(30);

/// How long an upload of the agent may take.
const UPLOAD: Duration = Duration::from_secs(300);

/// Starts the agent as `connection` says, over a connection logged in as `user`.
pub(super) async fn start(
    opened: Arc<Opened>,
    peer: &str,
    user: &str,
    connection: &Connection,
    agents: &AgentBinaries,
) -> Result<Link, SshError> {
    let failed =
        |why: String, hint: &str| SshError::Launch { peer: peer.to_owned(), why, hint: hint.to_owned() };
    let command = nonce()
        .map_err(|error| failed(format!("no random numbers on this machine: {error}"), ""))
        .and_then(|mark| {
            start_command(connection, user, agents, &mark).map_err(|unfit| failed(unfit.to_string(), ""))
        })?;
    let channel = open_channel(&opened, peer, &command.text).await?;
    let (reader, writer) = channel.split();
    let password = connection.escalate.as_ref().and_then(|escalate| escalate.password.clone());
    let mut starting = Starting {
        opened: &opened,
        peer,
        password,
        agents,
        reader,
        writer: Arc::new(writer),
        opening: Opening::new(&command),
        status: None,
    };
    starting.run().await?;
    let Starting { reader, writer, opening, .. } = starting;
    let (said, stderr) = opening.into_parts();
    let mut link = carry::link(peer, opened, (reader, writer), said.into(), stderr);
    link.builds = agents.iter().map(|(_, binary)| binary.sha256.to_string()).collect();
    Ok(link)
}

async fn open_channel(opened: &Opened, peer: &str, command: &str) -> Result<Channel<Msg>, SshError> {
    let failed = |why: String| SshError::Launch {
        peer: peer.to_owned(),
        why,
        hint: "does sshd there allow sessions and commands for this account (MaxSessions, ForceCommand)?"
            .to_owned(),
    };
    let opening = async {
        let channel = opened.client.channel_open_session().await?;
        channel.exec(true, command).await?;
        Ok::<_, russh::Error>(channel)
    };
    match tokio::time::timeout(START, opening).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(failed(words(&error))),
        Err(_) => Err(failed(format!("no channel within {} s", START.as_secs()))),
    }
}

type Upload = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

struct Starting<'a> {
    opened: &'a Opened,
    peer: &'a str,
    password: Option<Secret>,
    agents: &'a AgentBinaries,
    reader: ChannelReadHalf,
    writer: Arc<ChannelWriteHalf<Msg>>,
    opening: Opening,
    status: Option<u32>,
}

impl Starting<'_> {
    /// Goes on until the agent's first bytes are there.
    async fn run(&mut self) -> Result<(), SshError> {
        let mut until = Instant::now() + START;
        let mut upload: Option<Upload> = None;
        loop {
            let message = tokio::select! {
                message = self.reader.wait() => message,
                done = poll_upload(&mut upload) => {
                    upload = None;
                    until = Instant::now() + START;
                    if let Err(why) = done {
                        return Err(self.failed(why, ""));
                    }
                    continue;
                }
                () = tokio::time::sleep_until(until) => {
                    let why = format!("nothing that an agent says came in time{}", self.shown());
                    return Err(self.failed(why, "is the host overloaded, or do its shell start-up files wait for something?"));
                }
            };
            let Some(message) = message else { return Err(self.ended()) };
            match self.take(message)? {
                Step::Wait => {}
                Step::Started => return Ok(()),
                Step::Password => self.give_password().await?,
                Step::Missing(architecture) => {
                    until = Instant::now() + UPLOAD;
                    upload = Some(self.upload(&architecture)?);
                }
            }
        }
    }

    fn take(&mut self, message: ChannelMsg) -> Result<Step, SshError> {
        match message {
            ChannelMsg::Data { data } => self.opening.said(&data).map_err(|why| {
                let shown = self.shown();
                self.failed(format!("{why}{shown}"), "shell start-up files must print nothing for commands")
            }),
            ChannelMsg::ExtendedData { data, ext: 1 } => Ok(self.opening.complained(&data)),
            ChannelMsg::ExitStatus { exit_status } => {
                self.status = Some(exit_status);
                Ok(Step::Wait)
            }
            ChannelMsg::Failure => Err(self.failed(
                "the server does not run commands for this account".to_owned(),
                "look at ForceCommand, the account's shell and `command=` in its authorized_keys",
            )),
            _ => Ok(Step::Wait),
        }
    }

    async fn give_password(&mut self) -> Result<(), SshError> {
        // Taken: sudo asks a second time only when the first answer was wrong.
        let Some(password) = self.password.take() else {
            return Err(self.failed(
                "sudo did not take the password".to_owned(),
                "correct `ansible_become_password`; is the account allowed to use sudo there?",
            ));
        };
        let line = Bytes::from(format!("{}\n", password.expose()));
        self.writer.data_bytes(line).await.map_err(|error| self.failed(words(&error), ""))
    }

    fn upload(&self, architecture: &str) -> Result<Upload, SshError> {
        let Some(binary) = self.agents.get(architecture).cloned() else {
            let have = Some(self.agents.architectures()).filter(|have| !have.is_empty());
            return Err(self.failed(
                format!(
                    "the host is {architecture}, and there is no agent for it here (there is: {})",
                    have.as_deref().unwrap_or("none at all")
                ),
                &format!("build it with `agent/build-static.sh {architecture}`"),
            ));
        };
        let writer = Arc::clone(&self.writer);
        Ok(Box::pin(async move {
            let path = binary.path.display();
            let bytes = binary.bytes().await.map_err(|error| format!("`{path}` cannot be read: {error}"))?;
            let head = format!("{} {}\n", bytes.len(), binary.sha256);
            let send = async {
                writer.data_bytes(Bytes::from(head)).await?;
                for at in (0..bytes.len()).step_by(PIECE) {
                    writer.data_bytes(bytes.slice(at..bytes.len().min(at + PIECE))).await?;
                }
                Ok::<_, russh::Error>(())
            };
            send.await.map_err(|error| words(&error))
        }))
    }

    fn shown(&self) -> String {
        self.opening.shown()
    }

    fn failed(&self, why: String, hint: &str) -> SshError {
        SshError::Launch { peer: self.peer.to_owned(), why, hint: hint.to_owned() }
    }

    fn ended(&self) -> SshError {
        let (why, hint) = match self.status {
            Some(status) => super::opening::exit_words(status, self.opening.stderr()),
            None => {
                let lost =
                    self.opened.heard.ended().unwrap_or_else(|| "the host closed the channel".to_owned());
                (lost, "run again")
            }
        };
        self.failed(format!("{why}{}", self.shown()), hint)
    }
}

async fn poll_upload(upload: &mut Option<Upload>) -> Result<(), String> {
    match upload {
        Some(upload) => upload.await,
        None => std::future::pending().await,
    }
}

/// Returns 16 random bytes as text: what the host cannot have said by chance.
pub(super) fn nonce() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex::encode(bytes))
}
