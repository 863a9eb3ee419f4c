//! Runs the programs that the lab uses, and reports their errors.

use std::process::{Command, Stdio};

use super::LabError;

/// Runs a program to its end and returns its standard output.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<String, LabError> {
    finish(Command::new(program).args(arguments), program, arguments)
}

/// Runs a program with the lab host's disk as its root.
pub(super) fn run_in(root: &std::path::Path, arguments: &[&str]) -> Result<String, LabError> {
    let mut command = Command::new("chroot");
    command.arg(root).args(arguments).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    finish(&mut command, "chroot", arguments)
}

fn finish(command: &mut Command, program: &str, arguments: &[&str]) -> Result<String, LabError> {
    let output = command
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .map_err(|source| LabError::Start { program: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(LabError::Command {
        command: format!("{program} {}", arguments.join(" ")),
        status: output.status.code().unwrap_or(-1),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
