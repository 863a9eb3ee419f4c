//! Causes of a failed start of the agent, over SSH or on this machine.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use super::exit::ExitCause;
use crate::ssh::script::Unfit;

/// Why the agent cannot be installed or started. `output` is the bounded output of the host so far,
/// as the end of a sentence.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The system has no random numbers.
    #[error("cannot read random numbers on this machine")]
    Random(#[source] io::Error),
    /// A setting is not safe on a command line.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The server opened no channel, or did not accept the command.
    #[error("{0}")]
    Channel(String),
    /// The server opened no channel in time.
    #[error("no channel within {secs} s")]
    ChannelTimeout {
        /// The timeout in seconds.
        secs: u64,
    },
    /// The server does not run commands.
    #[error("the server does not run commands for this account")]
    NoCommands,
    /// The connection was lost while something was sent.
    #[error("{0}")]
    Send(String),
    /// The agent did not start in time.
    #[error("the agent did not start in time{output}")]
    Timeout {
        /// The output so far.
        output: String,
    },
    /// The host printed too much before the agent started.
    #[error("received {limit} bytes of unexpected output{output}")]
    Noise {
        /// The maximum in bytes.
        limit: usize,
        /// The output so far.
        output: String,
    },
    /// sudo asked again.
    #[error("sudo rejected the password")]
    PasswordRejected,
    /// No agent fits the host.
    #[error("no agent for the host's architecture {architecture} (available: {available})")]
    NoAgent {
        /// The host's architecture.
        architecture: String,
        /// The architectures of the available agents.
        available: String,
    },
    /// No agent fits this machine.
    #[error("no agent for this machine's architecture {architecture}")]
    NoAgentHere {
        /// This machine's architecture.
        architecture: String,
    },
    /// The agent's executable cannot be read on this machine.
    #[error("cannot read `{path}`", path = .path.display())]
    ReadAgent {
        /// The executable.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The start command exited.
    #[error("{cause} (exit status {status}){output}")]
    Exited {
        /// Meaning of the status.
        cause: ExitCause,
        /// The status.
        status: u32,
        /// The output so far.
        output: String,
    },
    /// The connection was lost.
    #[error("{why}{output}")]
    Lost {
        /// The reason of the connection's end.
        why: String,
        /// The output so far.
        output: String,
    },
    /// A child process cannot be started.
    #[error("{program}", program = .program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The child process has no streams.
    #[error("the child process has no pipes")]
    NoPipes,
    /// sudo did not ask and did not start the agent.
    #[error("sudo did not answer within {secs} s")]
    SudoTimeout {
        /// The timeout in seconds.
        secs: u64,
    },
    /// sudo did not start the agent.
    #[error("{why}{output}")]
    Sudo {
        /// The cause.
        why: SudoError,
        /// The output so far.
        output: String,
    },
}

/// Why sudo did not start the agent on this machine.
#[derive(Debug, thiserror::Error)]
pub enum SudoError {
    /// sudo exited.
    #[error("it exited before the agent started")]
    Exited,
    /// sudo asked again.
    #[error("sudo rejected the password")]
    Rejected,
    /// The streams of sudo failed.
    #[error("{0}")]
    Streams(#[from] io::Error),
}

impl LaunchError {
    pub(super) fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Random(_)
            | Self::Unfit(_)
            | Self::Send(_)
            | Self::ReadAgent { .. }
            | Self::Spawn { .. }
            | Self::NoPipes
            | Self::SudoTimeout { .. } => return None,
            Self::NoAgent { architecture, .. } | Self::NoAgentHere { architecture } => {
                return Some(format!("build it with `agent/build-static.sh {architecture}`").into());
            }
            Self::Channel(_) | Self::ChannelTimeout { .. } => {
                "check that sshd allows sessions and commands for this account (MaxSessions, ForceCommand)"
            }
            Self::NoCommands => {
                "check ForceCommand, the account's shell and `command=` in its authorized_keys"
            }
            Self::Timeout { .. } => {
                "check that the host is not overloaded and that its shell start-up files do not wait for input"
            }
            Self::Noise { .. } => "shell start-up files must not print anything for non-interactive commands",
            Self::PasswordRejected => {
                "correct `ansible_become_password`, and check that the account may use sudo"
            }
            Self::Exited { cause, .. } => cause.hint(),
            Self::Lost { .. } => "run again",
            Self::Sudo { .. } => "correct `ansible_become_password`",
        };
        Some(hint.into())
    }
}
