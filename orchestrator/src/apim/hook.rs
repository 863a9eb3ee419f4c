//! Hooks: what is called when a node leaves load balancers that somebody else sees to, and when it comes back. Plain data, made for
//! one node; who calls them is not known here.

use std::collections::BTreeMap;
use std::sync::Arc;

use apim_protocol::mask;
use apim_protocol::operation::Operation;
use apim_protocol::operation::absent::Absent;
use apim_protocol::operation::command::Invocation;
use apim_protocol::operation::execute::Execute;
use apim_protocol::outcome::Failure;
use apim_protocol::value::{AbsPath, Secret};

use super::topology::NodeName;

/// Stands for the run's id until the hook is called: what is planned does not depend on who carries it out, and when.
pub const RUN: &str = "{{ run }}";
/// Stands for the operator's name until the hook is called.
pub const OPERATOR: &str = "{{ operator }}";

/// So many of the last lines of what a hook said are shown.
const LINES: usize = 5;
/// So many characters of each.
const LINE: usize = 300;

/// What hooks are called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The node is to be given no new requests.
    Drain,
    /// Is it free of connections?
    Drained,
    /// It is to be given requests again.
    Undrain,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Drain, Self::Drained, Self::Undrain];

    /// Returns its key in an inventory, which is what hooks are told, too.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Drained => "drained",
            Self::Undrain => "undrain",
        }
    }
}

/// The hooks of one node.
#[derive(Debug, Clone, PartialEq)]
pub struct Hooks {
    /// The node.
    pub node: NodeName,
    /// Its host, where it is kept that hooks were called.
    pub host: String,
    /// The file there that says so.
    pub marker: AbsPath,
    /// Called in order before the node is taken down.
    pub drain: Vec<Hook>,
    /// Asked until all of them agree that nobody is served by it any more; without any its connections are counted.
    pub drained: Vec<Hook>,
    /// Called in order once it is healthy.
    pub undrain: Vec<Hook>,
}

impl Hooks {
    /// Returns the wish that no hook keeps the node from getting requests, as its host can tell.
    #[must_use]
    pub fn unmarked(&self) -> Operation {
        Operation::Absent(Absent { path: self.marker.clone(), recursive: false })
    }

    /// Returns all of them.
    pub fn all(&self) -> impl Iterator<Item = &Hook> {
        self.drain.iter().chain(&self.drained).chain(&self.undrain)
    }

    /// Returns the hosts on which commands are run, but for this machine.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.all().filter_map(|hook| hook.on())
    }

    /// Returns every secret in them.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.all().flat_map(Hook::secrets)
    }
}

/// One hook.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// For people: the program and its arguments, or the method and URL.
    pub words: String,
    /// What is called.
    pub call: Call,
    /// What it must say beside ending well.
    pub contains: Option<String>,
    /// Seconds until it is given up.
    pub timeout_secs: u64,
    /// How often it is tried again after a failure.
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

/// A program that is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// It and its arguments.
    pub argv: Vec<String>,
    /// The host that it runs on; `None`: this machine.
    pub on: Option<String>,
    /// Facts about the node, as variables of its environment.
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
    /// Where.
    pub url: String,
    /// Headers; their values are never shown.
    pub headers: Vec<(String, Secret)>,
    /// The body; never shown.
    pub body: Option<Secret>,
    /// The statuses that mean success; none: any from 200 to 299.
    pub expect: Vec<u16>,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// PEM: who is trusted beside those whom this machine trusts.
    pub ca: Option<Arc<[u8]>>,
}

impl Hook {
    /// Returns the host that it runs on, where that is not this machine.
    #[must_use]
    pub fn on(&self) -> Option<&str> {
        match &self.call {
            Call::Command(program) => program.on.as_deref(),
            Call::Http(_) => None,
        }
    }

    /// Returns its secrets.
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

    /// Returns the hook as it is called in the run of this id by this operator.
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

    /// Returns what the agent of its host is asked for, where it runs on one; whether it `reads_only` its author vouches for.
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

    /// Judges how it ended: `Ok` with nothing, or what went wrong, and what it said.
    ///
    /// # Errors
    /// When it failed, or did not say what it must.
    pub fn judged(&self, ended: Result<(), String>, said: &str) -> Result<(), Failure> {
        let why = match (ended, &self.contains) {
            (Err(why), _) => why,
            (Ok(()), Some(text)) if !said.contains(text.as_str()) => format!("it did not say `{text}`"),
            (Ok(()), _) => return Ok(()),
        };
        Err(self.failure(&why, said))
    }

    /// Returns a failure with the last lines of what it said, free of its secrets.
    #[must_use]
    pub fn failure(&self, why: &str, said: &str) -> Failure {
        let mut secrets: Vec<Secret> = self.secrets().into_iter().cloned().collect();
        let lines = self.secrets().into_iter().flat_map(|secret| secret.expose().lines()).map(Secret::new);
        secrets.extend(lines.collect::<Vec<_>>());
        let masked = mask::text(said, &secrets);
        let lines: Vec<&str> = masked.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
        let log = last.iter().map(|line| line.chars().take(LINE).collect()).collect();
        Failure { log, ..Failure::new(format!("hook `{}`: {}", self.words, mask::text(why, &secrets))) }
    }
}

/// Whether a node goes out of the load balancers that hooks tell, or back; it is done by the orchestrator.
#[derive(Debug, Clone, PartialEq)]
pub struct Shift {
    /// Its hooks.
    pub hooks: Arc<Hooks>,
    /// What is to be done.
    pub wish: ShiftWish,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShiftWish {
    /// It is put back if a hook took it out, and it was left so.
    Returned,
    /// It is taken out, and its connections are waited for up to so many seconds: somebody asked for that by hand.
    Out(u64),
    /// It is put back, whatever is known.
    In,
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
    fn of_what_a_hook_said_the_last_lines_are_shown_and_no_secret() {
        let said: String =
            (0..40).map(|n| format!("{n} open-sesame second line {}\n", "x".repeat(400))).collect();
        let failure = hook().judged(Err("ended with open-sesame".to_owned()), &said).expect_err("it failed");
        assert_eq!(failure.what, "hook `lb`: ended with ****");
        assert_eq!(failure.log.len(), LINES);
        assert!(failure.log[4].starts_with("39 **** **** x") && failure.log[4].len() == LINE, "{failure:?}");
    }

    #[test]
    fn what_it_must_say_counts_as_much_as_how_it_ended() {
        let hook = Hook { contains: Some("0 sessions".to_owned()), ..hook() };
        assert!(hook.judged(Ok(()), "there are 0 sessions\n").is_ok());
        let failure = hook.judged(Ok(()), "there are 3 sessions\n").expect_err("there are some");
        assert_eq!(failure.what, "hook `lb`: it did not say `0 sessions`");
        assert_eq!(failure.log, ["there are 3 sessions"]);
    }

    #[test]
    fn run_and_operator_are_filled_in_when_it_is_called() {
        let filled = hook().filled("r1", "anna@ops");
        let Some(Operation::Execute(execute)) = filled.operation(false) else { panic!("{filled:?}") };
        assert_eq!(execute.run.argv, ["lb", "by=anna@ops"]);
        assert_eq!(execute.run.environment["APIM_RUN"].expose(), "r1");
        assert_eq!(execute.run.environment["KEY"].expose(), "open-sesame");
        assert_eq!(execute.run.timeout_secs, 7);
    }
}
