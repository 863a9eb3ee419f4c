//! Meaning of an exit status of the command that starts the agent.

use crate::ssh::script::exit;

/// Why the start command exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExitCause {
    /// The agent's folder is not usable.
    #[error("cannot create the agent's folder, or it belongs to another account")]
    Folder,
    /// The uploaded agent has another digest.
    #[error("the agent was damaged during the upload")]
    Digest,
    /// The upload did not begin.
    #[error("the connection ended before the agent was uploaded")]
    NothingSent,
    /// The agent cannot be written.
    #[error("cannot write the agent")]
    Write,
    /// The agent cannot be executed.
    #[error("cannot execute the agent")]
    NotExecutable,
    /// sudo is missing.
    #[error("sudo is not installed")]
    NoSudo,
    /// sudo needs a password.
    #[error("sudo requires a password")]
    SudoPassword,
    /// sudo needs a terminal.
    #[error("sudo requires a terminal")]
    SudoTerminal,
    /// Any other error of sudo.
    #[error("sudo failed")]
    Sudo,
    /// Any other exit.
    #[error("the command exited before the agent answered")]
    Other,
}

impl ExitCause {
    /// Returns the meaning of `status`; `stderr` is the standard error of the command.
    pub(in crate::ssh) fn of(status: u32, stderr: &str) -> Self {
        let is_sudo = stderr.contains("sudo");
        match status {
            exit::FOLDER => Self::Folder,
            exit::DIGEST => Self::Digest,
            exit::NOTHING_SENT => Self::NothingSent,
            exit::WRITE => Self::Write,
            126 => Self::NotExecutable,
            127 if is_sudo => Self::NoSudo,
            _ if is_sudo && stderr.contains("password is required") => Self::SudoPassword,
            _ if is_sudo && (stderr.contains("tty") || stderr.contains("terminal")) => Self::SudoTerminal,
            _ if is_sudo => Self::Sudo,
            _ => Self::Other,
        }
    }

    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Folder => {
                "check the owner and mode of the agent's folder (`/var/lib/apim-deploy/agent`, or below the account's home)"
            }
            Self::Digest | Self::NothingSent => "re-run",
            Self::Write => "check the free space of that file system",
            Self::NotExecutable => {
                "if the file system is mounted `noexec`, set another folder with `apim_agent_state`"
            }
            Self::NoSudo => "install sudo, or log in as the account itself (`ansible_become: false`)",
            Self::SudoPassword => {
                "set `ansible_become_password`, or allow the account to use sudo without one (NOPASSWD)"
            }
            Self::SudoTerminal => {
                "remove `requiretty` from sudoers for this account, or set `ansible_become_password`"
            }
            Self::Sudo => "check which accounts and commands sudoers allows on the host",
            Self::Other => "log in manually and check",
        }
    }
}
