//! Hooks that drain and undrain a node on external load balancers. Plain data for one node; the
//! engine calls them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use apim_protocol::mask;
use apim_protocol::operation::Operation;
use apim_protocol::operation::absent::Absent;
use apim_protocol::operation::command::Invocation;
use apim_protocol::operation::execute::Execute;
use apim_protocol::outcome::Failure;
use apim_protocol::value::{AbsPath, Secret};

use super::topology::NodeName;

pub use super::settings::load_balancer::Action;

/// Placeholder for the run's id until the hook is called, so that plans do not depend on operator
/// and time.
pub const RUN: &str = "{{ run }}";
/// Placeholder for the operator's name until the hook is called.
pub const OPERATOR: &str = "{{ operator }}";

/// How many of the last output lines of a failed hook are shown.
const LINES: usize = 5;
/// How many characters of each line are shown.
const LINE: usize = 300;

/// The hooks of one node.
#[derive(Debug, Clone, PartialEq)]
pub struct Hooks {
    /// The node.
    pub node: NodeName,
    /// The host that stores the marker file.
    pub host: String,
    /// The marker file; exists while the node is drained.
    pub marker: AbsPath,
    /// Called in order before the node is stopped.
    pub drain: Vec<Hook>,
    /// Called until all of them report that the node has no connections. Without such hooks its
    /// connections are counted.
    pub drained: Vec<Hook>,
    /// Called in order once the node is healthy.
    pub undrain: Vec<Hook>,
}

impl Hooks {
    /// Returns the operation that ensures that no marker file exists.
    #[must_use]
    pub fn unmarked(&self) -> Operation {
        Operation::Absent(Absent { path: self.marker.clone(), recursive: false })
    }

    /// Returns all of them.
    pub fn all(&self) -> impl Iterator<Item = &Hook> {
        self.drain.iter().chain(&self.drained).chain(&self.undrain)
    }

    /// Returns the hosts on which commands run, without this machine.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.all().filter_map(|hook| hook.on())
    }

    /// Returns all secrets of the hooks.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.all().flat_map(Hook::secrets)
    }
}

/// One hook.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// For display: the program and its arguments, or the method and URL.
    pub words: String,
    /// What is called.
    pub call: Call,
    /// Text that the output must contain.
    pub contains: Option<String>,
    /// The timeout in seconds.
    pub timeout_secs: u64,
    /// The number of retries after a failure.
    pub retries: u32,
}

/// What is called.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// A program.
    Command(Program),
    /// A request from this machine.
    Http(Box<HttpCall>),
}

/// A program to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The host to run on; `None`: this machine.
    pub on: Option<String>,
    /// Facts about the node, as environment variables.
    pub facts: BTreeMap<String, String>,
    /// Further variables; never shown.
    pub environment: BTreeMap<String, Secret>,
    /// Given on standard input; never shown.
    pub stdin: Option<Secret>,
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpCall {
    /// `GET`, `PUT`, …
    pub method: String,
    /// The URL.
    pub url: String,
    /// Headers; their values are never shown.
    pub headers: Vec<(String, Secret)>,
    /// The body; never shown.
    pub body: Option<Secret>,
    /// The status codes that mean success; empty: 200 to 299.
    pub expect: Vec<u16>,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// Additional trusted certificates (PEM).
    pub ca: Option<Arc<[u8]>>,
}

impl Hook {
    /// Returns the host to run on, unless it is this machine.
    #[must_use]
    pub fn on(&self) -> Option<&str> {
        match &self.call {
            Call::Command(program) => program.on.as_deref(),
            Call::Http(_) => None,
        }
    }

    /// Returns the secrets of this hook.
    #[must_use]
    pub fn secrets(&self) -> Vec<&Secret> {
        match &self.call {
            Call::Command(program) => program.environment.values().chain(&program.stdin).collect(),
            Call::Http(http) => {
                let login = http.login.iter().map(|(_, password)| password);
                http.headers.iter().map(|(_, value)| value).chain(&http.body).chain(login).collect()
            }
        }
    }

    /// Returns the hook with run id and operator filled in.
    #[must_use]
    pub fn filled(&self, run: &str, operator: &str) -> Self {
        let text = |text: &str| text.replace(RUN, run).replace(OPERATOR, operator);
        let secret = |secret: &Secret| Secret::new(text(secret.expose()));
        let mut hook = self.clone();
        match &mut hook.call {
            Call::Command(program) => {
                program.argv.iter_mut().for_each(|one| *one = text(one));
                program.facts.values_mut().for_each(|one| *one = text(one));
                program.environment.values_mut().chain(&mut program.stdin).for_each(|one| *one = secret(one));
            }
            Call::Http(http) => {
                http.url = text(&http.url);
                http.headers.iter_mut().for_each(|(_, one)| *one = secret(one));
                http.body.iter_mut().for_each(|one| *one = secret(one));
            }
        }
        hook
    }

    /// Returns the agent operation, if it runs on a host. The inventory's author guarantees
    /// `reads_only`.
    #[must_use]
    pub fn operation(&self, reads_only: bool) -> Option<Operation> {
        let Call::Command(Program { argv, on: Some(_), facts, environment, stdin }) = &self.call else {
            return None;
        };
        let facts = facts.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone())));
        let run = Invocation {
            argv: argv.clone(),
            environment: facts.chain(environment.clone()).collect(),
            stdin: stdin.clone(),
            timeout_secs: self.timeout_secs,
            ..Invocation::default()
        };
        Some(Operation::Execute(Execute { run, reads_only }))
    }

    /// Checks the result and the output of a call.
    ///
    /// # Errors
    /// When the call failed, or its output lacks the required text.
    pub fn judged<E: fmt::Display>(&self, ended: Result<(), E>, output: &str) -> Result<(), Failure> {
        let why = match (ended, &self.contains) {
            (Err(why), _) => why.to_string(),
            (Ok(()), Some(text)) if !output.contains(text.as_str()) => {
                format!("the output does not contain `{text}`")
            }
            (Ok(()), _) => return Ok(()),
        };
        Err(self.failure(&why, output))
    }

    /// Returns a failure with the last output lines; secrets are masked.
    #[must_use]
    pub fn failure(&self, why: &str, output: &str) -> Failure {
        let mut secrets: Vec<Secret> = self.secrets().into_iter().cloned().collect();
        let lines = self.secrets().into_iter().flat_map(|secret| secret.expose().lines()).map(Secret::new);
        secrets.extend(lines.collect::<Vec<_>>());
        let masked = mask::text(output, &secrets);
        let lines: Vec<&str> = masked.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
        let log = last.iter().map(|line| line.chars().take(LINE).collect()).collect();
        Failure { log, ..Failure::new(format!("hook `{}`: {}", self.words, mask::text(why, &secrets))) }
    }
}

/// Drain or undrain a node by hooks. Runs on the control machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Shift {
    /// Its hooks.
    pub hooks: Arc<Hooks>,
    /// The action.
    pub spec: ShiftSpec,
}

/// The action of a [`Shift`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShiftSpec {
    /// Undrain, if an earlier run drained the node and did not undrain it.
    UndrainIfDrained,
    /// Drain on request of the operator, and wait this many seconds for connections to end.
    Drain(u64),
    /// Undrain in any case.
    Undrain,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook() -> Hook {
        Hook {
            words: "lb".to_owned(),
            call: Call::Command(Program {
                argv: vec!["lb".to_owned(), format!("by={OPERATOR}")],
                on: Some("lb1".to_owned()),
                facts: BTreeMap::from([("APIM_RUN".to_owned(), RUN.to_owned())]),
                environment: BTreeMap::from([("KEY".to_owned(), Secret::new("open-sesame"))]),
                stdin: Some(Secret::new("first line\nsecond line")),
            }),
            contains: None,
            timeout_secs: 7,
            retries: 0,
        }
    }

    #[test]
    fn failure_shows_last_lines_without_secrets() {
        let output: String =
            (0..40).map(|n| format!("{n} open-sesame second line {}\n", "x".repeat(400))).collect();
        let failure = hook().judged(Err("ended with open-sesame"), &output).expect_err("it failed");
        assert_eq!(failure.what, "hook `lb`: ended with ****");
        assert_eq!(failure.log.len(), LINES);
        assert!(failure.log[4].starts_with("39 **** **** x") && failure.log[4].len() == LINE, "{failure:?}");
    }

    #[test]
    fn output_must_contain_the_required_text() {
        let hook = Hook { contains: Some("0 sessions".to_owned()), ..hook() };
        assert!(hook.judged(Ok::<(), &str>(()), "there are 0 sessions\n").is_ok());
        let failure = hook.judged(Ok::<(), &str>(()), "there are 3 sessions\n").expect_err("there are some");
        assert_eq!(failure.what, "hook `lb`: the output does not contain `0 sessions`");
        assert_eq!(failure.log, ["there are 3 sessions"]);
    }

    #[test]
    fn run_and_operator_are_filled_in() {
        let filled = hook().filled("r1", "anna@ops");
        let Some(Operation::Execute(execute)) = filled.operation(false) else { panic!("{filled:?}") };
        assert_eq!(execute.run.argv, ["lb", "by=anna@ops"]);
        assert_eq!(execute.run.environment["APIM_RUN"].expose(), "r1");
        assert_eq!(execute.run.environment["KEY"].expose(), "open-sesame");
        assert_eq!(execute.run.timeout_secs, 7);
    }
}
