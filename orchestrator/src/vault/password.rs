//! Where vault passwords come from: files, programs, prompts.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use apim_protocol::value::Secret;

use crate::yaml::{ReadError, read_text, take};

/// The longest password file and output of a password program in bytes.
const PASSWORD_BYTES: u64 = 64 * 1024;
/// How long a password program may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A vault password.
#[derive(Debug, Clone)]
pub struct Password {
    /// Its vault id, if it was given with one.
    pub label: Option<String>,
    /// The password.
    pub secret: Secret,
}

/// Why a password could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The file cannot be read.
    #[error("cannot read the vault password file `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// The program failed.
    #[error("the vault password program `{}` {why}", path.display())]
    Program {
        /// The program.
        path: PathBuf,
        /// How.
        why: String,
    },
    /// There is nothing in it.
    #[error("the vault password from {0} is empty")]
    Empty(String),
    /// Nobody answered.
    #[error("no vault password was entered")]
    NotEntered(#[source] std::io::Error),
}

/// Where to look for passwords.
#[derive(Debug, Clone, Default)]
pub struct PasswordSources {
    /// `--vault-password-file` and `ANSIBLE_VAULT_PASSWORD_FILE`.
    pub files: Vec<PathBuf>,
    /// `--vault-id`: `label@file`, `label@prompt`, `file` or `prompt`.
    pub ids: Vec<String>,
    /// `--ask-vault-pass`.
    pub ask: bool,
}

/// Asks a person for a password; the text is the question.
pub type Ask<'a> = &'a mut dyn FnMut(&str) -> std::io::Result<Secret>;

/// Gathers all passwords; `ask` is called for those that are to be prompted for.
///
/// # Errors
/// At the first password that cannot be had.
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

/// A file that may be executed is a program that prints the password, as in Ansible; `*-client` programs are told the label.
fn from_file(path: &Path, label: Option<&str>) -> Result<Secret, PasswordError> {
    let unreadable = |source| PasswordError::Unreadable { path: path.to_owned(), source };
    let path = expand_home(path);
    let meta = std::fs::metadata(&path).map_err(|error| unreadable(error.into()))?;
    let text = if is_program(&meta) {
        run(&path, label, PATIENCE)?
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

fn run(path: &Path, label: Option<&str>, patience: Duration) -> Result<String, PasswordError> {
    let failed = |why: String| PasswordError::Program { path: path.to_owned(), why };
    let program = std::path::absolute(path).map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(program);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    if stem.ends_with("-client") {
        command.args(["--vault-id", label.unwrap_or("default")]);
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
    let mut child = child.map_err(|error| failed(format!("cannot be started: {error}")))?;
    let output = output_of(&mut child, patience).map_err(failed)?;
    String::from_utf8(output).map_err(|_| failed("printed what is no text".to_owned()))
}

/// What the program prints; it is ended when it prints too much or takes too long.
fn output_of(child: &mut Child, patience: Duration) -> Result<Vec<u8>, String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            // Nobody listens any more when it took too long.
            sender.send(take(output, PASSWORD_BYTES)).ok();
        });
    }
    let began = Instant::now();
    let result = match receiver.recv_timeout(patience) {
        Ok(Ok(output)) => loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(output),
                Ok(Some(status)) => return Err(format!("failed: {status}")),
                Ok(None) if began.elapsed() < patience => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) => break Err(too_long(patience)),
                Err(error) => break Err(error.to_string()),
            }
        },
        Ok(Err(ReadError::TooLarge(_))) => Err("printed more than 64 KiB".to_owned()),
        Ok(Err(error)) => Err(format!("cannot be read: {error}")),
        Err(_) => Err(too_long(patience)),
    };
    // It may be gone already.
    child.kill().ok();
    child.wait().ok();
    result
}

fn too_long(patience: Duration) -> String {
    format!("did not end within {} s", patience.as_secs())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::output_of;

    #[test]
    fn a_program_without_an_end_is_ended() {
        let run = |script: &str, patience| {
            let child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn();
            output_of(&mut child.expect("sh"), patience)
        };
        let long = Duration::from_secs(60);
        assert_eq!(run("echo pw", long), Ok(b"pw\n".to_vec()));
        assert_eq!(run("exec cat /dev/zero", long), Err("printed more than 64 KiB".to_owned()));
        let silent = run("exec sleep 60", Duration::from_millis(50));
        assert_eq!(silent, Err("did not end within 0 s".to_owned()));
        assert!(run("exit 3", long).expect_err("fails").starts_with("failed: "));
    }
}
