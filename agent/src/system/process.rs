//! Running programs: an argument vector, a minimal environment, a deadline, bounded output. No shell.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use apim_protocol::observation::Ended;
use apim_protocol::value::{AbsPath, Secret};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::error::SystemError;
use super::host::System;

/// What a program's standard output and error keep at most, each: their last 64 KiB.
const OUTPUT_LIMIT: usize = 64 * 1024;
/// From TERM to KILL.
const TERM_GRACE: Duration = Duration::from_secs(5);
/// How long output is read after the program itself ended: something it left behind may hold the pipe open.
const DRAIN: Duration = Duration::from_secs(1);
/// How often a wait for a program checks whether the run was cancelled.
const LOOK_UP: Duration = Duration::from_millis(500);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to run.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The program and its arguments. A program with a slash in it that is relative is looked for in `directory`.
    pub argv: Vec<String>,
    /// The working directory.
    pub directory: Option<AbsPath>,
    /// Environment added to PATH, LANG and HOME.
    pub environment: BTreeMap<String, Secret>,
    /// The account to run as, with its primary group and no other.
    pub run_as: Option<String>,
    /// Given on standard input.
    pub stdin: Option<Secret>,
    /// Seconds until it is ended; 0 means 300.
    pub timeout_secs: u64,
}

impl Program {
    /// Returns the program `argv` with nothing else said about it.
    pub fn new<T: Into<String>>(argv: impl IntoIterator<Item = T>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

/// What a program left.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// The end of its standard output.
    pub stdout: String,
    /// The end of its standard error.
    pub stderr: String,
    /// How many bytes of both came before those.
    pub left_out: u64,
}

impl Output {
    /// Returns the last `count` lines of standard error and output, error last.
    #[must_use]
    pub fn tail(&self, count: usize) -> Vec<String> {
        let lines: Vec<&str> =
            self.stdout.lines().chain(self.stderr.lines()).filter(|l| !l.trim().is_empty()).collect();
        lines.iter().skip(lines.len().saturating_sub(count)).map(|l| l.chars().take(500).collect()).collect()
    }
}

impl System {
    /// Runs `program` to its end or its deadline.
    ///
    /// Below `--root`, the program, its arguments and its environment that name something that exists below the root mean that.
    ///
    /// # Errors
    /// When it cannot be started: no such program, folder or account, or no right to be that account.
    pub fn run(&self, program: &Program) -> Result<Output, SystemError> {
        self.run_until(program, &|| false)
    }

    /// As [`System::run`]; ends the program when `is_called_off` says so.
    ///
    /// # Errors
    /// As [`System::run`].
    pub fn run_until(
        &self,
        program: &Program,
        is_called_off: &dyn Fn() -> bool,
    ) -> Result<Output, SystemError> {
        let mut child = self.start(program)?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), &program.stdin) {
            let text = text.clone();
            // A program that does not read its input is not an error.
            thread::spawn(move || pipe.write_all(text.expose().as_bytes()).ok());
        }
        let (stdout, out_done) = Tail::of(child.stdout.take());
        let (stderr, err_done) = Tail::of(child.stderr.take());
        let secs = if program.timeout_secs == 0 { 300 } else { program.timeout_secs };
        let name = || program.argv.first().cloned().unwrap_or_default();
        let waited = wait_or(&mut child, Duration::from_secs(secs), is_called_off);
        let ended = match waited.map_err(|source| SystemError::Start { program: name(), source })? {
            Some(status) => ended(status),
            None => {
                end(&mut child, group);
                if is_called_off() { Ended::CalledOff } else { Ended::TimedOut(secs) }
            }
        };
        let until = Instant::now() + DRAIN;
        for done in [out_done, err_done] {
            // Either way the output so far is what there is.
            done.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        }
        let left_out = stdout.left_out().saturating_add(stderr.left_out());
        Ok(Output { ended, stdout: stdout.text(), stderr: stderr.text(), left_out })
    }

    fn start(&self, program: &Program) -> Result<Child, SystemError> {
        let [name, arguments @ ..] = program.argv.as_slice() else {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "the argument vector is empty");
            return Err(SystemError::Start { program: String::new(), source });
        };
        let directory = program.directory.as_ref().map(|directory| self.resolve(directory));
        let real = match &directory {
            Some(directory) if name.contains('/') && !name.starts_with('/') => {
                directory.join(name).to_string_lossy().into_owned()
            }
            _ => self.real(name),
        };
        let mut command = Command::new(real);
        command.args(arguments.iter().map(|argument| self.real(argument)));
        command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if program.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.env("HOME", if self.is_privileged() { "/root" } else { "/" });
        if let Some(account) = &program.run_as
            && let Some(entry) = self.account(account)?
        {
            command.env("HOME", &entry.home).env("USER", &entry.name).env("LOGNAME", &entry.name);
            if self.is_privileged() {
                command.uid(entry.uid).gid(entry.gid);
            } else if !self.is_rooted() && entry.uid != rustix::process::geteuid().as_raw() {
                let source = io::Error::from(io::ErrorKind::PermissionDenied);
                return Err(SystemError::Start { program: format!("{name}` as `{account}"), source });
            }
        } else if let Some(account) = &program.run_as
            && !self.is_rooted()
        {
            return Err(SystemError::Unknown { kind: "account", name: account.clone() });
        }
        command.envs(program.environment.iter().map(|(key, value)| (key, self.real(value.expose()))));
        command.current_dir(directory.as_deref().unwrap_or(Path::new("/")));
        command.spawn().map_err(|source| SystemError::Start { program: name.clone(), source })
    }

    /// Below a root, returns the real path of a text that names something there.
    fn real(&self, text: &str) -> String {
        match AbsPath::parse(text) {
            Ok(path) if self.is_rooted() && text != "/" => {
                let real = self.resolve(&path);
                if real.exists() { real.to_string_lossy().into_owned() } else { text.to_owned() }
            }
            _ => text.to_owned(),
        }
    }
}

fn ended(status: ExitStatus) -> Ended {
    status.code().map_or_else(|| Ended::Killed(status.signal().unwrap_or(0)), Ended::Exited)
}

/// Waits until the child ends or `patience` is over (`None`).
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    wait_or(child, patience, &|| false)
}

/// As [`wait`], and until `is_called_off`.
fn wait_or(
    child: &mut Child,
    patience: Duration,
    is_called_off: &dyn Fn() -> bool,
) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + patience;
    let pidfd = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || is_called_off() {
            return Ok(None);
        }
        match &pidfd {
            Some(pidfd) => {
                let timeout = Timespec::try_from(left.min(LOOK_UP)).ok();
                // A signal may cut the wait short; the loop looks again.
                poll(&mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)], timeout.as_ref()).ok();
            }
            // Kernels before 5.3.
            None => thread::sleep(left.min(Duration::from_millis(20))),
        }
    }
}

/// Ends the child and all in its process group: TERM, then KILL.
fn end(child: &mut Child, group: Option<Pid>) {
    let signal = |signal| {
        if let Some(group) = group {
            // Gone already is as good.
            kill_process_group(group, signal).ok();
        }
    };
    signal(Signal::TERM);
    let gone = matches!(wait(child, TERM_GRACE), Ok(Some(_)));
    signal(Signal::KILL);
    if !gone {
        drop(child.wait());
    }
}

/// The last bytes of a stream, gathered by a thread of its own.
struct Tail(Arc<Mutex<Kept>>);

/// What is kept of a stream, and how much came before it.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    left_out: u64,
}

impl Tail {
    fn of(stream: Option<impl Read + Send + 'static>) -> (Self, Receiver<()>) {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let (done, finished) = channel();
        if let Some(mut stream) = stream {
            let kept = Arc::clone(&kept);
            thread::spawn(move || {
                let mut buffer = [0; 8192];
                loop {
                    match stream.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(n) => {
                            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                            kept.bytes.extend_from_slice(buffer.get(..n).unwrap_or_default());
                            let surplus = kept.bytes.len().saturating_sub(OUTPUT_LIMIT);
                            kept.bytes.drain(..surplus);
                            kept.left_out += surplus as u64;
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(_) => break,
                    }
                }
                // The receiver may have given up.
                done.send(()).ok();
            });
        }
        (Self(kept), finished)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes).into_owned()
    }

    fn left_out(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).left_out
    }
}
