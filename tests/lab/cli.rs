//! Runs the real `apim-deploy` as a person would: a clean environment, its own home, its output kept.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::poll::until;

/// Where a run's programs, home and output are.
#[derive(Debug)]
pub struct Operator {
    binary: PathBuf,
    folder: tempfile::TempDir,
    runs: std::cell::Cell<u32>,
    variables: Vec<(String, String)>,
}

/// What a run of `apim-deploy` left.
#[derive(Debug)]
pub struct Run {
    /// Its exit code; 128 and the signal when it was killed.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Run {
    /// Returns both outputs, for searching and for messages.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Returns this run when it ended with `code`.
    ///
    /// # Panics
    /// When it ended otherwise; shows what it said.
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

/// A run that goes on; killed when dropped.
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
    /// When the programs were not built, or no folder can be made.
    #[must_use]
    pub fn new() -> Self {
        let folder =
            tempfile::Builder::new().prefix("apim-operator-").tempdir().expect("a folder for the operator");
        std::fs::create_dir(folder.path().join("home")).expect("a home for the operator");
        Self { binary: program("apim-deploy"), folder, runs: std::cell::Cell::new(0), variables: Vec::new() }
    }

    /// Gives later runs a variable in their environment.
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
    /// When it cannot be written.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).expect("a folder for the file");
        }
        std::fs::write(&path, text).expect("the operator's file");
        path
    }

    /// Runs `apim-deploy` to its end.
    ///
    /// # Panics
    /// When it cannot be started, or takes longer than ten minutes.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        self.start(arguments).wait(Duration::from_secs(600))
    }

    /// Starts `apim-deploy`.
    ///
    /// # Panics
    /// When it cannot be started.
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

    /// Runs `apim-deploy` to its end on a terminal, where somebody has typed `line`. What it says to people is its standard error.
    ///
    /// # Panics
    /// When there is no terminal to be had, or it cannot be started.
    pub fn answer<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>, line: &str) -> Run {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("a terminal of our own");
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
        let mut said = Vec::new();
        // It ends with an error once nobody holds the other end.
        terminal.read_to_end(&mut said).unwrap_or_default();
        let status = child.wait().expect("the run can be waited for");
        let stderr = String::from_utf8_lossy(&said).replace("\r\n", "\n");
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
    /// Waits for the end.
    ///
    /// # Panics
    /// When it takes longer than `limit`; shows what it said until then.
    pub fn wait(mut self, limit: Duration) -> Run {
        let mut status = None;
        let ended = until(limit, || {
            status = self.child.try_wait().expect("the run can be waited for");
            status.is_some()
        });
        assert!(
            ended,
            "`apim-deploy {}` did not end within {limit:?}; it said:\n{}",
            self.words,
            self.said()
        );
        let took = self.begun.elapsed();
        Run { code: status.map_or(-1, code), stdout: read(&self.stdout), stderr: read(&self.stderr), took }
    }

    /// Returns what it said so far.
    #[must_use]
    pub fn said(&self) -> String {
        format!("{}{}", read(&self.stdout), read(&self.stderr))
    }

    /// Returns its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says whether it has ended.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the run can be waited for").is_some()
    }

    /// Returns since when it runs.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.begun
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Ended already is as good.
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

/// Returns the path of a program of the workspace, built beside the tests.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = target().join(name);
    assert!(path.exists(), "{} is not built; run `make build` first", path.display());
    path
}

/// Returns the folder that Cargo builds into (`target/debug` as a rule).
///
/// # Panics
/// When this process is no test of the workspace.
#[must_use]
pub fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().expect("its folder");
    if folder.ends_with("deps") { folder.parent().expect("its folder").to_owned() } else { folder.to_owned() }
}
