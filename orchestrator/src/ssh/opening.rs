//! What a host says while the agent is being started, told apart: the agent itself, our own script, sudo, and noise.

use apim_protocol::frame::NOISE_LIMIT;

use crate::session::find_magic;
use crate::session::text::{Tail, one_line, quoted};

use super::script::{StartCommand, exit};

/// How much of standard output is shown in an error, in bytes.
const SHOWN: usize = 2000;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet.
    Wait,
    /// The agent's first bytes are there.
    Started,
    /// sudo asks for the password.
    Password,
    /// The agent is missing on this architecture.
    Missing(String),
}

/// Both outputs so far.
pub(super) struct Opening {
    said: Vec<u8>,
    stderr: Tail,
    missing: Vec<u8>,
    prompt: Option<Vec<u8>>,
    told_missing: bool,
}

impl Opening {
    pub(super) fn new(command: &StartCommand) -> Self {
        Self {
            said: Vec::new(),
            stderr: Tail::default(),
            missing: format!("{} missing ", command.mark).into_bytes(),
            prompt: command.sudo_prompt.clone().map(String::into_bytes),
            told_missing: false,
        }
    }

    /// Takes in standard output.
    pub(super) fn said(&mut self, more: &[u8]) -> Result<Step, String> {
        self.said.extend_from_slice(more);
        if find_magic(&self.said).is_some() {
            return Ok(Step::Started);
        }
        if !self.told_missing
            && let Some(at) = find(&self.said, &self.missing)
            && let Some(rest) = self.said.get(at + self.missing.len()..)
            && let Some(end) = rest.iter().position(|byte| *byte == b'\n')
        {
            let architecture = one_line(rest.get(..end).unwrap_or_default(), 32);
            self.told_missing = true;
            self.said.clear();
            return Ok(Step::Missing(architecture));
        }
        if self.said.len() > NOISE_LIMIT {
            return Err(format!("it said {NOISE_LIMIT} bytes of something else"));
        }
        Ok(Step::Wait)
    }

    /// Takes in standard error.
    pub(super) fn complained(&mut self, more: &[u8]) -> Step {
        self.stderr.push(more);
        let asks = self.prompt.as_ref().is_some_and(|prompt| find(self.stderr.bytes(), prompt).is_some());
        if asks {
            self.stderr = Tail::default();
            return Step::Password;
        }
        Step::Wait
    }

    pub(super) fn stderr(&self) -> &Tail {
        &self.stderr
    }

    /// Returns what was said so far, for an error.
    pub(super) fn shown(&self) -> String {
        let said = self.said.get(..SHOWN).unwrap_or(&self.said);
        let (said, complained) = (quoted(said, SHOWN), self.stderr.quoted());
        let mut shown = String::new();
        if !said.is_empty() {
            shown.push_str("; it said:");
            shown.push_str(&said);
        }
        if !complained.is_empty() {
            shown.push_str("; on standard error:");
            shown.push_str(&complained);
        }
        shown
    }

    /// Returns what was said, the agent's first bytes in it, and what was complained.
    pub(super) fn into_parts(self) -> (Vec<u8>, Tail) {
        (self.said, self.stderr)
    }
}

/// Returns what an exit status of the start command means, and what to do.
pub(super) fn exit_words(status: u32, stderr: &Tail) -> (String, &'static str) {
    let complained = String::from_utf8_lossy(stderr.bytes());
    let sudo = complained.contains("sudo");
    let (why, hint) = match status {
        exit::FOLDER => (
            "the folder for the agent cannot be made there, or is somebody else's",
            "look at the owner and mode of the agent's folder (`/var/lib/apim-deploy/agent`, or below the account's home)",
        ),
        exit::DIGEST => ("the agent did not arrive there as it was sent", "run again"),
        exit::NOTHING_SENT => ("the connection ended before the agent was sent", "run again"),
        exit::WRITE => ("the agent cannot be written there", "look at the free space of that file system"),
        126 => (
            "the agent cannot be executed there",
            "is its file system mounted `noexec`? name another folder with `apim_agent_state`",
        ),
        127 if sudo => (
            "sudo is not installed there",
            "install sudo, or log in as the account itself (`ansible_become: false`)",
        ),
        _ if sudo && complained.contains("password is required") => (
            "sudo wants a password",
            "give it with `ansible_become_password`, or allow the account to use sudo without one (NOPASSWD)",
        ),
        _ if sudo && (complained.contains("tty") || complained.contains("terminal")) => (
            "sudo wants a terminal, and there is none",
            "remove `requiretty` from sudoers for this account, or give `ansible_become_password`",
        ),
        _ if sudo => ("sudo refused", "look at sudoers there: which accounts and commands does it allow?"),
        _ => ("the command ended before the agent answered", "log in by hand and look"),
    };
    (format!("{why} (exit status {status})"), hint)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use apim_protocol::frame::MAGIC;

    use super::*;

    fn opening() -> Opening {
        Opening::new(&StartCommand {
            text: String::new(),
            mark: "m4rk".into(),
            sudo_prompt: Some("m4rk:password:".into()),
        })
    }

    #[test]
    fn the_agent_our_script_and_sudo_are_told_apart_from_noise() {
        let mut opening = opening();
        assert_eq!(opening.said(b"Welcome!\nm4rk miss"), Ok(Step::Wait));
        assert_eq!(opening.said(b"ing x86_64\n"), Ok(Step::Missing("x86_64".into())));
        assert_eq!(opening.complained(b"m4rk:pass"), Step::Wait);
        assert_eq!(opening.complained(b"word:"), Step::Password);
        assert_eq!(opening.complained(b"Sorry, try again.\nm4rk:password:"), Step::Password);
        assert_eq!(opening.said(&MAGIC[..3]), Ok(Step::Wait));
        assert_eq!(opening.said(&MAGIC[3..]), Ok(Step::Started));
    }

    #[test]
    fn a_flood_is_cut_off() {
        let mut opening = opening();
        let results = (0..20).map(|_| opening.said(&[b'x'; 4096])).collect::<Vec<_>>();
        assert!(results.last().unwrap().is_err());
    }
}
