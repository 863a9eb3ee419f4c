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
use super::error::{ExitCause, LaunchError, SettingError, SshError, SudoError};
use super::launch::nonce;

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
        let connection = self.hosts.get(host).ok_or_else(|| SettingError::UnknownHost(host.to_string()))?;
        let peer = format!("{host} (this machine)");
        let architecture = std::env::consts::ARCH;
        let started = match self.agents.get(architecture) {
            Some(binary) => Starting { peer: &peer, connection }.start(binary).await,
            None => Err(LaunchError::NoAgentHere { architecture: architecture.to_owned() }),
        };
        started.map_err(|source| SshError::Launch { peer, source })
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
    peer: &'a str,
    connection: &'a Connection,
}

impl Starting<'_> {
    async fn start(&self, binary: &AgentBinary) -> Result<Link, LaunchError> {
        let prompt = nonce().map_err(LaunchError::Random)?;
        let mut command = self.command(binary, &prompt);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(
                |source| LaunchError::Spawn { program: command.as_std().get_program().into(), source },
            )?;
        let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(LaunchError::NoPipes);
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
                Ok(Err(error)) => return Err(sudo_failed(child, error, &stderr_tail).await),
                Err(_) => return Err(LaunchError::SudoTimeout { secs: SUDO.as_secs() }),
            };
        }
        let mut link = carry(
            Running { child, stderr, tail: stderr_tail },
            stdin,
            io::Cursor::new(first).chain(stdout),
            self.peer,
        );
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
}

async fn sudo_failed(mut child: Child, why: SudoError, stderr_tail: &Tail) -> LaunchError {
    child.start_kill().ok();
    let status = child.wait().await.ok().and_then(|status| status.code());
    let output = stderr_tail.quoted();
    match status.and_then(|code| u32::try_from(code).ok()) {
        Some(status) => {
            LaunchError::Exited { cause: ExitCause::of(status, &stderr_tail.text()), status, output }
        }
        None => LaunchError::Sudo { why, output },
    }
}

struct Streams<'a> {
    stdin: &'a mut ChildStdin,
    stdout: &'a mut ChildStdout,
    stderr: &'a mut ChildStderr,
}

impl Streams<'_> {
    /// Answers sudo's prompt, if there is one, and returns the agent's first output.
    async fn give(self, password: &str, prompt: &str, stderr_tail: &mut Tail) -> Result<Vec<u8>, SudoError> {
        let (mut first, mut more) = (vec![0; 4096], vec![0; 4096]);
        let mut given = false;
        loop {
            tokio::select! {
                read = self.stdout.read(&mut first) => {
                    let read = read?;
                    if read == 0 {
                        return Err(SudoError::Exited);
                    }
                    first.truncate(read);
                    return Ok(first);
                }
                read = self.stderr.read(&mut more) => {
                    let read = read?;
                    if read == 0 {
                        return Err(SudoError::Exited);
                    }
                    stderr_tail.push(more.get(..read).unwrap_or_default());
                }
            }
            let asks = stderr_tail.bytes().windows(prompt.len()).any(|window| window == prompt.as_bytes());
            if asks && given {
                *stderr_tail = Tail::default();
                return Err(SudoError::Rejected);
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
    mut running: Running,
    stdin: ChildStdin,
    stdout: impl AsyncRead + Send + Unpin + 'static,
    peer: &str,
) -> Link {
    let (ended, words) = oneshot::channel();
    let unread = CancellationToken::new();
    let reader = Guarded { inner: stdout, _guard: unread.clone().drop_guard() };
    tokio::spawn(async move {
        let status = running.wait(&unread).await;
        // The last output may still be in the pipe; the timeout covers background processes that
        // keep it open.
        tokio::time::timeout(Duration::from_millis(200), running.read_rest()).await.ok();
        ended.send(ending(status, &running.tail)).ok();
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

/// The agent's process and its standard error.
struct Running {
    child: Child,
    stderr: ChildStderr,
    tail: Tail,
}

impl Running {
    /// Collects standard error until the process exits; kills it when nothing reads its output and
    /// it does not exit in time.
    async fn wait(&mut self, unread: &CancellationToken) -> Option<ExitStatus> {
        let mut buffer = vec![0; 4096];
        let mut listening = true;
        loop {
            tokio::select! {
                status = self.child.wait() => return status.ok(),
                () = unread.cancelled() => return self.end().await,
                read = self.stderr.read(&mut buffer), if listening => match read {
                    Ok(read) if read > 0 => self.tail.push(buffer.get(..read).unwrap_or_default()),
                    _ => listening = false,
                }
            }
        }
    }

    async fn end(&mut self) -> Option<ExitStatus> {
        if let Ok(status) = tokio::time::timeout(EXIT_GRACE, self.child.wait()).await {
            return status.ok();
        }
        self.child.start_kill().ok();
        self.child.wait().await.ok()
    }

    async fn read_rest(&mut self) {
        let mut buffer = vec![0; 4096];
        while let Ok(read @ 1..) = self.stderr.read(&mut buffer).await {
            self.tail.push(buffer.get(..read).unwrap_or_default());
        }
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
