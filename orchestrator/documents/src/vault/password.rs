//! Sources of vault passwords: files, programs, prompts.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use apim_protocol::value::Secret;

use apim_product::yaml::{ReadError, read_text, take};

/// The maximum size of a password file and of the output of a password program, in bytes.
const PASSWORD_BYTES: u64 = 64 * 1024;
/// The time limit of a password program.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A vault password and its vault id.
#[derive(Debug, Clone)]
pub struct Password {
    /// The vault id from `--vault-id`, if any.
    pub label: Option<String>,
    /// The password, without surrounding white space.
    pub secret: Secret,
}

/// Why a vault password is not available.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The password file cannot be read.
    #[error("cannot read the vault password file `{}`", path.display())]
    Unreadable {
        /// As the user wrote it.
        path: PathBuf,
        /// The cause.
        source: ReadError,
    },
    /// The password program failed.
    #[error("the vault password program `{}` {why}", path.display())]
    Program {
        /// As the user wrote it.
        path: PathBuf,
        /// Completes "the vault password program `x` …".
        why: ProgramError,
    },
    /// The password is empty.
    #[error("the vault password from {0} is empty")]
    Empty(String),
    /// The prompt was not answered.
    #[error("no vault password was entered")]
    NotEntered(#[source] std::io::Error),
}

/// Why a vault password program has no password. Completes "the vault password program `x` …".
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// Its path is not usable.
    #[error("{0}")]
    Path(std::io::Error),
    /// It cannot be started.
    #[error("cannot be started: {0}")]
    Start(std::io::Error),
    /// It failed.
    #[error("failed: {0}")]
    Failed(std::process::ExitStatus),
    /// Its exit status is not available.
    #[error("{0}")]
    Wait(std::io::Error),
    /// It printed too much.
    #[error("printed more than 64 KiB")]
    TooLong,
    /// Its output cannot be read.
    #[error("cannot be read: {0}")]
    Output(ReadError),
    /// Its output is not text.
    #[error("printed invalid UTF-8")]
    NotText,
    /// It took too long.
    #[error("did not finish within {secs} s")]
    Timeout {
        /// The timeout in seconds.
        secs: u64,
    },
}

/// The sources of vault passwords.
#[derive(Debug, Clone, Default)]
pub struct PasswordSources {
    /// `--vault-password-file` and `ANSIBLE_VAULT_PASSWORD_FILE`.
    pub files: Vec<PathBuf>,
    /// `--vault-id`: `label@file`, `label@prompt`, `file` or `prompt`.
    pub ids: Vec<String>,
    /// `--ask-vault-pass`.
    pub ask: bool,
}

/// Prompts for a password with the given text.
pub type Ask<'a> = &'a mut dyn FnMut(&str) -> std::io::Result<Secret>;

/// Collects all passwords. Calls `ask` for each prompt.
///
/// # Errors
/// When a password is not available or empty; the first one is reported.
pub fn gather(sources: &PasswordSources, ask: Ask<'_>) -> Result<Vec<Password>, PasswordError> {
    let mut passwords = Vec::new();
    for id in &sources.ids {
        let (label, source) = match id.rsplit_once('@') {
            Some((label, source)) => (Some(label.to_owned()).filter(|label| !label.is_empty()), source),
            None => (None, id.as_str()),
        };
        let secret = if source == "prompt" || source == "prompt_ask_vault_pass" {
            let question = format!("Vault password ({}): ", label.as_deref().unwrap_or("default"));
            ask(&question).map_err(PasswordError::NotEntered)?
        } else {
            from_file(Path::new(source), label.as_deref())?
        };
        passwords.push(Password { label, secret });
    }
    for file in &sources.files {
        passwords.push(Password { label: None, secret: from_file(file, None)? });
    }
    if sources.ask {
        let secret = ask("Vault password: ").map_err(PasswordError::NotEntered)?;
        passwords.push(Password { label: None, secret });
    }
    match passwords.iter().position(|password| password.secret.expose().is_empty()) {
        Some(at) => Err(PasswordError::Empty(format!("source {}", at + 1))),
        None => Ok(passwords),
    }
}

/// Reads a password file. An executable file is a program that prints the password, as in Ansible.
/// A `*-client` program gets the vault id as an argument.
fn from_file(path: &Path, label: Option<&str>) -> Result<Secret, PasswordError> {
    let unreadable = |source| PasswordError::Unreadable { path: path.to_owned(), source };
    let path = expand_home(path);
    let meta = std::fs::metadata(&path).map_err(|error| unreadable(error.into()))?;
    let text = if is_program(&meta) {
        run(&path, label, TIMEOUT)?
    } else {
        read_text(&path, PASSWORD_BYTES).map_err(unreadable)?
    };
    let secret = text.trim();
    if secret.is_empty() {
        return Err(PasswordError::Empty(format!("`{}`", path.display())));
    }
    Ok(Secret::new(secret))
}

#[cfg(unix)]
fn is_program(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    meta.is_file() && meta.permissions().mode() & 0o111 != 0
}

fn expand_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.to_owned(),
    }
}

fn run(path: &Path, label: Option<&str>, timeout: Duration) -> Result<String, PasswordError> {
    let failed = |why| PasswordError::Program { path: path.to_owned(), why };
    let program = std::path::absolute(path).map_err(|error| failed(ProgramError::Path(error)))?;
    let mut command = Command::new(program);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    if stem.ends_with("-client") {
        command.args(["--vault-id", label.unwrap_or("default")]);
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
    let mut child = child.map_err(|error| failed(ProgramError::Start(error)))?;
    let output = output_of(&mut child, timeout).map_err(failed)?;
    String::from_utf8(output).map_err(|_| failed(ProgramError::NotText))
}

/// Returns the program's output. Kills the program if it prints too much or takes too long.
fn output_of(child: &mut Child, timeout: Duration) -> Result<Vec<u8>, ProgramError> {
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            // After the timeout the receiver is gone.
            sender.send(take(output, PASSWORD_BYTES)).ok();
        });
    }
    let began = Instant::now();
    let result = match receiver.recv_timeout(timeout) {
        Ok(Ok(output)) => loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(output),
                Ok(Some(status)) => return Err(ProgramError::Failed(status)),
                Ok(None) if began.elapsed() < timeout => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) => break Err(timed_out(timeout)),
                Err(error) => break Err(ProgramError::Wait(error)),
            }
        },
        Ok(Err(ReadError::TooLarge(_))) => Err(ProgramError::TooLong),
        Ok(Err(error)) => Err(ProgramError::Output(error)),
        Err(_) => Err(timed_out(timeout)),
    };
    // The program may have ended already.
    child.kill().ok();
    child.wait().ok();
    result
}

const fn timed_out(timeout: Duration) -> ProgramError {
    ProgramError::Timeout { secs: timeout.as_secs() }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::output_of;

    #[test]
    fn endless_password_program_is_killed() {
        let run = |script: &str, timeout| {
            let child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn();
            output_of(&mut child.expect("sh"), timeout).map_err(|error| error.to_string())
        };
        let long = Duration::from_secs(60);
        assert_eq!(run("echo pw", long), Ok(b"pw\n".to_vec()));
        assert_eq!(run("exec cat /dev/zero", long), Err("printed more than 64 KiB".to_owned()));
        let silent = run("exec sleep 60", Duration::from_millis(50));
        assert_eq!(silent, Err("did not finish within 0 s".to_owned()));
        assert!(run("exit 3", long).expect_err("fails").starts_with("failed: "));
    }
}
