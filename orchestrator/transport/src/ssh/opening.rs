//! Classifies the output of a host while the agent is started: the agent itself, the start script,
//! sudo, or noise.

use apim_protocol::frame::NOISE_LIMIT;

use crate::session::find_magic;
use crate::session::text::{Tail, one_line, quoted};

use super::script::StartCommand;

/// Maximum amount of standard output in an error, in bytes.
const SHOWN: usize = 2000;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait for more output.
    Wait,
    /// The agent's first bytes have arrived.
    Started,
    /// sudo asks for the password.
    Password,
    /// The agent is missing on the host, which has this architecture.
    Missing(String),
}

/// The host printed [`NOISE_LIMIT`] bytes that are not from the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuchOutput;

/// Standard output and standard error so far.
pub(super) struct Opening {
    said: Vec<u8>,
    stderr: Tail,
    missing: Vec<u8>,
    prompt: Option<Vec<u8>>,
    missing_reported: bool,
}

impl Opening {
    pub(super) fn new(command: &StartCommand) -> Self {
        Self {
            said: Vec::new(),
            stderr: Tail::default(),
            missing: format!("{} missing ", command.mark).into_bytes(),
            prompt: command.sudo_prompt.clone().map(String::into_bytes),
            missing_reported: false,
        }
    }

    /// Adds standard output.
    pub(super) fn said(&mut self, more: &[u8]) -> Result<Step, TooMuchOutput> {
        self.said.extend_from_slice(more);
        if find_magic(&self.said).is_some() {
            return Ok(Step::Started);
        }
        if !self.missing_reported
            && let Some(at) = find(&self.said, &self.missing)
            && let Some(rest) = self.said.get(at + self.missing.len()..)
            && let Some(end) = rest.iter().position(|byte| *byte == b'\n')
        {
            let architecture = one_line(rest.get(..end).unwrap_or_default(), 32);
            self.missing_reported = true;
            self.said.clear();
            return Ok(Step::Missing(architecture));
        }
        if self.said.len() > NOISE_LIMIT {
            return Err(TooMuchOutput);
        }
        Ok(Step::Wait)
    }

    /// Adds standard error.
    pub(super) fn on_stderr(&mut self, more: &[u8]) -> Step {
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

    /// Returns the output so far, for an error.
    pub(super) fn shown(&self) -> String {
        let said = self.said.get(..SHOWN).unwrap_or(&self.said);
        let (said, stderr) = (quoted(said, SHOWN), self.stderr.quoted());
        let mut shown = String::new();
        if !said.is_empty() {
            shown.push_str("; output:");
            shown.push_str(&said);
        }
        if !stderr.is_empty() {
            shown.push_str("; standard error:");
            shown.push_str(&stderr);
        }
        shown
    }

    /// Returns standard output, including the agent's first bytes, and standard error.
    pub(super) fn into_parts(self) -> (Vec<u8>, Tail) {
        (self.said, self.stderr)
    }
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
    fn agent_script_and_sudo_are_distinguished_from_noise() {
        let mut opening = opening();
        assert_eq!(opening.said(b"Welcome!\nm4rk miss"), Ok(Step::Wait));
        assert_eq!(opening.said(b"ing x86_64\n"), Ok(Step::Missing("x86_64".into())));
        assert_eq!(opening.on_stderr(b"m4rk:pass"), Step::Wait);
        assert_eq!(opening.on_stderr(b"word:"), Step::Password);
        assert_eq!(opening.on_stderr(b"Sorry, try again.\nm4rk:password:"), Step::Password);
        assert_eq!(opening.said(&MAGIC[..3]), Ok(Step::Wait));
        assert_eq!(opening.said(&MAGIC[3..]), Ok(Step::Started));
    }

    #[test]
    fn excessive_output_is_an_error() {
        let mut opening = opening();
        let results = (0..20).map(|_| opening.said(&[b'x'; 4096])).collect::<Vec<_>>();
        assert!(results.last().unwrap().is_err());
    }
}
