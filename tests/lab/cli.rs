//! Runs the real `apim-deploy` in a clean environment with its own home, and keeps its output.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::poll::until;

/// The folder, home and environment of runs.
#[derive(Debug)]
pub struct Operator {
    binary: PathBuf,
    folder: tempfile::TempDir,
    runs: std::cell::Cell<u32>,
    variables: Vec<(String, String)>,
}

/// An ended run of `apim-deploy`.
#[derive(Debug)]
pub struct Run {
    /// Exit code; 128 + signal number if it was killed.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Duration.
    pub took: Duration,
}

impl Run {
    /// Returns standard output and standard error, concatenated.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Asserts the exit code.
    ///
    /// # Panics
    /// If the exit code is a different one; shows the output.
    #[track_caller]
    pub fn ended_with(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "apim-deploy ended with {} after {:?}, not {code}\n--- stdout\n{}\n--- stderr\n{}",
            self.code,
            self.took,
            self.stdout,
            self.stderr
        );
        self
    }
}

/// A running `apim-deploy`; killed on drop.
#[derive(Debug)]
pub struct Running {
    child: Child,
    begun: Instant,
    stdout: PathBuf,
    stderr: PathBuf,
    words: String,
}

impl Operator {
    /// Returns an operator with an empty home.
    ///
    /// # Panics
    /// If the programs were not built, or no folder can be created.
    #[must_use]
    pub fn new() -> Self {
        let folder =
            tempfile::Builder::new().prefix("apim-operator-").tempdir().expect("a folder for the operator");
        std::fs::create_dir(folder.path().join("home")).expect("a home for the operator");
        Self { binary: program("apim-deploy"), folder, runs: std::cell::Cell::new(0), variables: Vec::new() }
    }

    /// Sets an environment variable for later runs.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Returns the operator's folder, for inventories and other files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the operator's folder and returns its path.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).expect("a folder for the file");
        }
        std::fs::write(&path, text).expect("the operator's file");
        path
    }

    /// Runs `apim-deploy` and waits until it ends.
    ///
    /// # Panics
    /// If it cannot be started, or takes longer than ten minutes.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        self.start(arguments).wait(Duration::from_secs(600))
    }

    /// Starts `apim-deploy`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Running {
        let number = self.runs.get() + 1;
        self.runs.set(number);
        let stdout = self.folder.path().join(format!("run-{number}.out"));
        let stderr = self.folder.path().join(format!("run-{number}.err"));
        let arguments: Vec<_> = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let words = arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let child = self
            .command(&arguments)
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).expect("a file for its output"))
            .stderr(File::create(&stderr).expect("a file for its errors"))
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.binary.display()));
        Running { child, begun: Instant::now(), stdout, stderr, words }
    }

    /// Runs `apim-deploy` on a terminal where `line` is typed, and waits until it ends. The terminal is
    /// also its standard error.
    ///
    /// # Panics
    /// If it cannot be started, or no terminal can be opened.
    pub fn answer<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>, line: &str) -> Run {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("an unlocked terminal");
        let name = ptsname(&terminal, Vec::new()).expect("its name").into_string().expect("a name in UTF-8");
        let end = || File::options().read(true).write(true).open(&name).expect("the terminal's other end");
        let mut terminal = File::from(terminal);
        let (stdout, begun) = (self.folder.path().join("answered.out"), Instant::now());
        let mut child = self
            .command(&arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect::<Vec<_>>())
            .stdin(end())
            .stdout(File::create(&stdout).expect("a file for its output"))
            .stderr(end())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.binary.display()));
        terminal.write_all(format!("{line}\n").as_bytes()).expect("typed");
        let mut shown = Vec::new();
        // Reading fails once the other end is closed.
        terminal.read_to_end(&mut shown).unwrap_or_default();
        let status = child.wait().expect("the run can be waited for");
        let stderr = String::from_utf8_lossy(&shown).replace("\r\n", "\n");
        Run { code: code(status), stdout: read(&stdout), stderr, took: begun.elapsed() }
    }

    fn command(&self, arguments: &[OsString]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path().join("home"))
            .env("USER", "operator")
            .env("NO_COLOR", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path());
        command
    }
}

impl Default for Operator {
    fn default() -> Self {
        Self::new()
    }
}

impl Running {
    /// Waits until it ends.
    ///
    /// # Panics
    /// If it takes longer than `limit`; shows the output so far.
    pub fn wait(mut self, limit: Duration) -> Run {
        let mut status = None;
        let ended = until(limit, || {
            status = self.child.try_wait().expect("the run can be waited for");
            status.is_some()
        });
        assert!(
            ended,
            "`apim-deploy {}` did not end within {limit:?}; output:\n{}",
            self.words,
            self.output()
        );
        let took = self.begun.elapsed();
        Run { code: status.map_or(-1, code), stdout: read(&self.stdout), stderr: read(&self.stderr), took }
    }

    /// Returns the output so far.
    #[must_use]
    pub fn output(&self) -> String {
        format!("{}{}", read(&self.stdout), read(&self.stderr))
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the run can be waited for").is_some()
    }

    /// Returns when it was started.
    #[must_use]
    pub fn started_at(&self) -> Instant {
        self.begun
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended already.
            rustix::process::kill_process(pid, signal).unwrap_or_default();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn read(path: &Path) -> String {
    let bytes: io::Result<Vec<u8>> = std::fs::read(path);
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// Returns the path of a program of the workspace.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = target().join(name);
    assert!(path.exists(), "{} is not built; run `make build` first", path.display());
    path
}

/// Returns the folder that Cargo builds into (`target/debug` as a rule).
///
/// # Panics
/// If this process is not a test of the workspace.
#[must_use]
pub fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().expect("its folder");
    if folder.ends_with("deps") { folder.parent().expect("its folder").to_owned() } else { folder.to_owned() }
}
