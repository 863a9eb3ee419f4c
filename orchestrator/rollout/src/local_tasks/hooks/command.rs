//! Runs a program on this machine in its own process group, which is killed on timeout or when the
//! call is dropped.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::call::{CallError, CallResult, keep};
use apim_product::hook::Program;

/// Time for a program to exit after SIGTERM.
const EXIT_GRACE: Duration = Duration::from_secs(2);

/// Kills its process group when dropped, unless set to `None`.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The group may have exited already.
            kill_process_group(group, signal).unwrap_or_default();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Runs a program until it exits or the timeout expires.
pub(super) async fn run(program: &Program, timeout_secs: u64) -> CallResult {
    let mut child = match start(program) {
        Ok(child) => child,
        Err(error) => {
            let name = program.argv.first().cloned().unwrap_or_default();
            return CallResult::not_started(CallError::Start { name, source: error });
        }
    };
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let mut output = Vec::new();
    let ended = timeout(Duration::from_secs(timeout_secs), talk(&mut child, program, &mut output)).await;
    let (ended, may_pass) = match ended {
        Ok(Ok(status)) if status.success() => (Ok(()), false),
        Ok(Ok(status)) => (Err(failed(status)), status.code().is_some()),
        Ok(Err(error)) => (Err(CallError::Output(error)), true),
        Err(_) => {
            group.signal(Signal::TERM);
            drop(timeout(EXIT_GRACE, child.wait()).await);
            (Err(CallError::Timeout { secs: timeout_secs }), false)
        }
    };
    if ended.is_ok() {
        // Background processes of a successful program keep running.
        group.0 = None;
    }
    CallResult { ended, output: String::from_utf8_lossy(&output).into_owned(), may_pass }
}

fn start(program: &Program) -> io::Result<Child> {
    let (name, arguments) = program.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let environment = program.environment.iter().map(|(name, value)| (name, value.expose()));
    Command::new(name)
        .args(arguments)
        .envs(&program.facts)
        .envs(environment)
        .stdin(if program.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Writes a program's input and reads its output until it exits. Its background processes may keep
/// the output open.
async fn talk(child: &mut Child, program: &Program, output: &mut Vec<u8>) -> io::Result<ExitStatus> {
    let input = child.stdin.take().zip(program.stdin.clone());
    let write = async {
        if let Some((mut pipe, text)) = input {
            // The program may ignore its input.
            drop(pipe.write_all(text.expose().as_bytes()).await);
        }
    };
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let kept = tokio::sync::Mutex::new(output);
    let read = async {
        tokio::join!(collect(out, &kept), collect(err, &kept));
    };
    let status = async {
        let status = child.wait().await;
        sleep(Duration::from_millis(50)).await;
        status
    };
    let rest = async {
        tokio::join!(write, read);
    };
    tokio::pin!(status, rest);
    tokio::select! {
        status = &mut status => status,
        () = &mut rest => status.await,
    }
}

async fn collect(stream: Option<impl AsyncRead + Unpin>, kept: &tokio::sync::Mutex<&mut Vec<u8>>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = [0; 4096];
    while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
        keep(*kept.lock().await, buffer.get(..bytes).unwrap_or_default());
    }
}

fn failed(status: ExitStatus) -> CallError {
    match (status.code(), status.signal()) {
        (Some(code), _) => CallError::Exit(code),
        (None, Some(signal)) => CallError::Signal(signal),
        (None, None) => CallError::Unknown,
    }
}
