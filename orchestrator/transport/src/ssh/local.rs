//! `ansible_connection: local`: runs the agent as a child process, without SSH.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apim_protocol::outcome::Failure;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::host::{Connection, HostName};
use crate::session::text::Tail;
use crate::session::{Connect, Link};

use super::agent_binary::{AgentBinaries, AgentBinary};
use super::error::SshError;
use super::launch::nonce;
use super::opening::exit_words;

/// Time for the agent to exit after its input was closed and nothing reads its output.
const EXIT_GRACE: Duration = Duration::from_secs(5);

/// Timeout for sudo to ask for the password or to start the agent.
const SUDO: Duration = Duration::from_secs(30);

/// Starts agents as child processes.
#[derive(Debug, Clone)]
pub struct LocalConnect {
    hosts: Arc<BTreeMap<HostName, Connection>>,
    agents: Arc<AgentBinaries>,
}

impl LocalConnect {
    /// Creates the connector for those `hosts` that are this machine.
    #[must_use]
    pub fn new(hosts: BTreeMap<HostName, Connection>, agents: Arc<AgentBinaries>) -> Self {
        Self { hosts: Arc::new(hosts), agents }
    }

    /// Starts the agent for `host`.
    ///
    /// # Errors
    /// When this machine's architecture has no agent, or the agent cannot be started as the
    /// configured account.
    pub async fn open(&self, host: &HostName) -> Result<Link, SshError> {
        let connection = self.hosts.get(host).ok_or_else(|| SshError::Setting {
            what: format!("the inventory has no host `{host}`"),
            hint: String::new(),
        })?;
        let starting = Starting { peer: format!("{host} (this machine)"), connection };
        let architecture = std::env::consts::ARCH;
        let Some(binary) = self.agents.get(architecture) else {
            return Err(starting.failed(
                format!("no agent for this machine's architecture {architecture}"),
                &format!("build it with `agent/build-static.sh {architecture}`"),
            ));
        };
        starting.start(binary).await
    }
}

impl Connect for LocalConnect {
    fn connect<'a>(
        &'a self,
        host: &'a HostName,
    ) -> Pin<Box<dyn Future<Output = Result<Link, Failure>> + Send + 'a>> {
        Box::pin(async move { Ok(self.open(host).await?) })
    }
}

struct Starting<'a> {
    peer: String,
    connection: &'a Connection,
}

impl Starting<'_> {
    async fn start(&self, binary: &AgentBinary) -> Result<Link, SshError> {
        let prompt = nonce().map_err(|error| self.failed(error.to_string(), ""))?;
        let mut command = self.command(binary, &prompt);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(
                |error| self.failed(format!("{}: {error}", command.as_std().get_program().display()), ""),
            )?;
        let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(self.failed("the child process has no pipes".to_owned(), ""));
        };
        let mut stderr_tail = Tail::default();
        let mut first = Vec::new();
        if let Some(password) =
            self.connection.escalate.as_ref().and_then(|escalate| escalate.password.as_ref())
        {
            let streams = Streams { stdin: &mut stdin, stdout: &mut stdout, stderr: &mut stderr };
            let answered =
                tokio::time::timeout(SUDO, streams.give(password.expose(), &prompt, &mut stderr_tail));
            first = match answered.await {
                Ok(Ok(first)) => first,
                Ok(Err(error)) => return Err(self.sudo_failed(child, &error, &stderr_tail).await),
                Err(_) => {
                    return Err(self.failed(format!("sudo did not answer within {} s", SUDO.as_secs()), ""));
                }
            };
        }
        let mut link = carry(child, stdin, (first, stdout), (stderr_tail, stderr), &self.peer);
        link.builds = vec![binary.sha256.to_string()];
        Ok(link)
    }

    fn command(&self, binary: &AgentBinary, prompt: &str) -> Command {
        let own = std::env::var("USER").unwrap_or_default();
        let escalate = self.connection.escalate.as_ref();
        let account = escalate.map(|escalate| match escalate.user.as_str() {
            "" => "root",
            account => account,
        });
        let mut command = match account.filter(|account| *account != own) {
            Some(account) => {
                let mut sudo = Command::new("sudo");
                match escalate.and_then(|escalate| escalate.password.as_ref()) {
                    Some(_) => sudo.args(["-S", "-p", prompt]),
                    None => sudo.arg("-n"),
                };
                sudo.args(["-H", "-u", account, "--"]).arg(&binary.path);
                sudo
            }
            None => Command::new(&binary.path),
        };
        command.arg("serve");
        let folders = [("--root", &self.connection.agent_root), ("--state", &self.connection.agent_state)];
        for (option, folder) in folders {
            if let Some(folder) = folder {
                command.arg(option).arg(folder.as_str());
            }
        }
        command
    }

    async fn sudo_failed(&self, mut child: Child, error: &io::Error, stderr_tail: &Tail) -> SshError {
        child.start_kill().ok();
        let status = child
            .wait()
            .await
            .ok()
            .and_then(|status| status.code())
            .and_then(|code| u32::try_from(code).ok());
        let (why, hint) = match status {
            Some(status) => exit_words(status, stderr_tail),
            None => (error.to_string(), "correct `ansible_become_password`"),
        };
        self.failed(format!("{why}{}", stderr_tail.quoted()), hint)
    }

    fn failed(&self, why: String, hint: &str) -> SshError {
        SshError::Launch { peer: self.peer.clone(), why, hint: hint.to_owned() }
    }
}

struct Streams<'a> {
    stdin: &'a mut ChildStdin,
    stdout: &'a mut ChildStdout,
    stderr: &'a mut ChildStderr,
}

impl Streams<'_> {
    /// Answers sudo's prompt, if there is one, and returns the agent's first output.
    async fn give(self, password: &str, prompt: &str, stderr_tail: &mut Tail) -> io::Result<Vec<u8>> {
        let (mut first, mut more) = (vec![0; 4096], vec![0; 4096]);
        let mut given = false;
        loop {
            tokio::select! {
                read = self.stdout.read(&mut first) => {
                    let read = read?;
                    if read == 0 {
                        return Err(io::Error::other("it exited before the agent started"));
                    }
                    first.truncate(read);
                    return Ok(first);
                }
                read = self.stderr.read(&mut more) => {
                    let read = read?;
                    if read == 0 {
                        return Err(io::Error::other("it exited before the agent started"));
                    }
                    stderr_tail.push(more.get(..read).unwrap_or_default());
                }
            }
            let asks = stderr_tail.bytes().windows(prompt.len()).any(|window| window == prompt.as_bytes());
            if asks && given {
                *stderr_tail = Tail::default();
                return Err(io::Error::other("sudo rejected the password"));
            }
            if asks {
                given = true;
                *stderr_tail = Tail::default();
                self.stdin.write_all(format!("{password}\n").as_bytes()).await?;
            }
        }
    }
}

fn carry(
    mut child: Child,
    stdin: ChildStdin,
    (first, stdout): (Vec<u8>, ChildStdout),
    (mut stderr_tail, mut stderr): (Tail, ChildStderr),
    peer: &str,
) -> Link {
    let (ended, words) = oneshot::channel();
    let unread = CancellationToken::new();
    let reader = Guarded { inner: io::Cursor::new(first).chain(stdout), _guard: unread.clone().drop_guard() };
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        let mut listening = true;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status.ok(),
                () = unread.cancelled() => {
                    break match tokio::time::timeout(EXIT_GRACE, child.wait()).await {
                        Ok(status) => status.ok(),
                        Err(_) => {
                            child.start_kill().ok();
                            child.wait().await.ok()
                        }
                    };
                }
                read = stderr.read(&mut buffer), if listening => match read {
                    Ok(read) if read > 0 => stderr_tail.push(buffer.get(..read).unwrap_or_default()),
                    _ => listening = false,
                }
            }
        };
        // The last output may still be in the pipe; the timeout covers background processes that
        // keep it open.
        let rest = async {
            while let Ok(read) = stderr.read(&mut buffer).await {
                if read == 0 {
                    break;
                }
                stderr_tail.push(buffer.get(..read).unwrap_or_default());
            }
        };
        tokio::time::timeout(Duration::from_millis(200), rest).await.ok();
        ended.send(ending(status, &stderr_tail)).ok();
    });
    let words =
        Box::pin(
            async move { words.await.unwrap_or_else(|_| "the agent's exit status is unknown".to_owned()) },
        );
    Link {
        peer: peer.to_owned(),
        builds: Vec::new(),
        reader: Box::new(reader),
        writer: Box::new(stdin),
        ended: words,
    }
}

fn ending(status: Option<ExitStatus>, stderr_tail: &Tail) -> String {
    let how = status.map_or_else(
        || "the agent's exit status is unknown".to_owned(),
        |status| format!("the agent exited with {status}"),
    );
    match stderr_tail.quoted() {
        stderr if stderr.is_empty() => how,
        stderr => format!("{how}; standard error:{stderr}"),
    }
}

/// A reader that cancels its token when it is dropped.
struct Guarded<R> {
    inner: R,
    _guard: DropGuard,
}

impl<R: AsyncRead + Unpin> AsyncRead for Guarded<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}
