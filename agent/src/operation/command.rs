//! A command, run as an argument vector (no shell), guarded so that it runs when it is due.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Converge, Dialogue};
use crate::mask;
use crate::outcome::{Difference, Failure, Outcome};
use crate::system::{Ended, Output, Program, System};
use crate::value::{AbsPath, Secret};

/// A command was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What to run.
    pub run: Invocation,
    /// Not due when this path exists (checked again afterwards: it must exist then).
    pub creates: Option<AbsPath>,
    /// Not due when this path is missing.
    pub removes: Option<AbsPath>,
    /// Not due when this command exits with 0 (it must only read).
    pub unless: Option<Invocation>,
    /// Exit statuses that mean success; empty means 0 only.
    pub success: Vec<i32>,
    /// Whether running it counts as a change.
    pub changes: bool,
}

/// How to start a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The working directory.
    pub directory: Option<AbsPath>,
    /// Environment added to a minimal one (PATH, LANG=C.UTF-8, HOME); never shown.
    pub environment: BTreeMap<String, Secret>,
    /// The account to run as; `None` is the agent's own.
    pub run_as: Option<String>,
    /// Given on standard input; never shown.
    pub stdin: Option<Secret>,
    /// Seconds until it is ended (TERM, then KILL); 0 means 300.
    pub timeout_secs: u64,
}

impl Invocation {
    /// Returns the program as the host runs it.
    #[must_use]
    pub fn program(&self) -> Program {
        Program {
            argv: self.argv.clone(),
            directory: self.directory.clone(),
            environment: self.environment.clone(),
            run_as: self.run_as.clone(),
            stdin: self.stdin.clone(),
            timeout_secs: self.timeout_secs,
        }
    }

    /// Returns the argument vector for people, cut to a bound.
    #[must_use]
    pub fn words(&self) -> String {
        let text = self.argv.join(" ");
        if text.chars().count() > 200 {
            format!("{}…", text.chars().take(200).collect::<String>())
        } else {
            text
        }
    }

    /// Returns the failure that this command's `output` means, with its last lines, free of the secrets it was given.
    #[must_use]
    pub fn failure(&self, what: &str, output: &Output) -> Failure {
        let mut secrets: Vec<Secret> = self.environment.values().cloned().collect();
        secrets.extend(self.stdin.iter().flat_map(|text| text.expose().lines().map(Secret::new)));
        let log = output.tail(20).iter().map(|line| mask::text(line, &secrets)).collect();
        Failure { log, ..Failure::new(format!("`{}`: {what}", self.words())) }
    }
}

impl Converge for Command {
    fn check(&self, system: &System) -> Result<Option<Difference>, Failure> {
        if let Some(path) = &self.creates
            && system.stat_followed(path)?.is_some()
        {
            return Ok(None);
        }
        if let Some(path) = &self.removes
            && system.stat_followed(path)?.is_none()
        {
            return Ok(None);
        }
        if let Some(guard) = &self.unless
            // A guard that cannot even start (its program comes with an earlier step) does not hold.
            && system.run(&guard.program()).is_ok_and(|output| output.ended.is_success())
        {
            return Ok(None);
        }
        Ok(Some(Difference::one(format!("run `{}`", self.run.words()))))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        dialogue.progress(&format!("running `{}`", self.run.words()), 0, 0);
        let output = system.run(&self.run.program())?;
        let success = match output.ended {
            Ended::Exited(status) if self.success.is_empty() => status == 0,
            Ended::Exited(status) => self.success.contains(&status),
            Ended::Killed(_) | Ended::TimedOut(_) | Ended::CalledOff => false,
        };
        if !success {
            return Err(self.run.failure(&output.ended.to_string(), &output));
        }
        if let Some(path) = &self.creates
            && system.stat_followed(path)?.is_none()
        {
            let what = format!("it ended with {}, but `{path}` is not there", output.ended);
            return Err(self.run.failure(&what, &output));
        }
        Ok(if self.changes { Outcome::Changed(difference.clone()) } else { Outcome::Ok })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::testing::Bench;
    use crate::operation::{Mode, Operation};

    fn shell(script: &str) -> Invocation {
        let directory = Some(AbsPath::parse("/").unwrap());
        Invocation {
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            directory,
            ..Invocation::default()
        }
    }

    fn command(script: &str) -> Command {
        let run = shell(script);
        Command { run, creates: None, removes: None, unless: None, success: Vec::new(), changes: true }
    }

    fn path(text: &str) -> Option<AbsPath> {
        Some(AbsPath::parse(text).unwrap())
    }

    #[test]
    fn guards_make_a_command_run_once() {
        let bench = Bench::new();
        bench.assert_converges(&Operation::Command(Command {
            creates: path("/made"),
            ..command("touch made")
        }));
        bench.assert_converges(&Operation::Command(Command { removes: path("/made"), ..command("rm made") }));
        let unless = Some(shell("test -e other"));
        bench.assert_converges(&Operation::Command(Command { unless, ..command("touch other") }));
    }

    #[test]
    fn a_failure_shows_the_last_lines_without_secrets() {
        let bench = Bench::new();
        let mut failing = command("read line; echo out $PASS $line; echo err >&2; exit 7");
        failing.run.environment.insert("PASS".into(), Secret::new("hidden-one"));
        failing.run.stdin = Some(Secret::new("hidden-two\n"));
        let Outcome::Failed(failure) = bench.run(&Operation::Command(failing.clone()), Mode::Apply) else {
            panic!()
        };
        assert!(failure.what.contains("exit status 7"), "{failure:?}");
        assert_eq!(failure.log, ["out **** ****", "err"]);
        failing.success = vec![0, 7];
        assert!(matches!(bench.run(&Operation::Command(failing), Mode::Apply), Outcome::Changed(_)));
    }

    #[test]
    fn success_without_what_it_should_create_is_a_failure() {
        let bench = Bench::new();
        let lying = Command { creates: path("/made"), ..command("true") };
        assert!(bench.run(&Operation::Command(lying), Mode::Apply).is_failure());
    }

    #[test]
    fn a_command_that_changes_nothing_is_ok_and_not_run_to_look() {
        let bench = Bench::new();
        let reading = Operation::Command(Command { changes: false, ..command("touch trace") });
        assert!(matches!(bench.run(&reading, Mode::Check), Outcome::Skipped(_)));
        assert!(!bench.real("/trace").exists());
        assert_eq!(bench.run(&reading, Mode::Apply), Outcome::Ok);
    }

    #[test]
    fn a_missing_program_is_told_by_name() {
        let bench = Bench::new();
        let mut missing = command("");
        missing.run.argv = vec!["no-such-program-here".into()];
        let Outcome::Failed(failure) = bench.run(&Operation::Command(missing), Mode::Apply) else { panic!() };
        assert!(failure.what.contains("no-such-program-here"), "{failure:?}");
    }
}
