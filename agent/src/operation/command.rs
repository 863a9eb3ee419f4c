//! A command, run as an argument vector (no shell), guarded so that it runs when it is due.

use apim_protocol::mask;
use apim_protocol::operation::command::{Command, Invocation};
use apim_protocol::outcome::{Difference, Failure, Outcome};
use apim_protocol::value::Secret;

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Ended, Output, Program, System};

/// Returns the program as the host runs it.
pub(crate) fn program(run: &Invocation) -> Program {
    Program {
        argv: run.argv.clone(),
        directory: run.directory.clone(),
        environment: run.environment.clone(),
        run_as: run.run_as.clone(),
        stdin: run.stdin.clone(),
        timeout_secs: run.timeout_secs,
    }
}

/// Returns the failure that this command's `output` means, with its last lines, free of the secrets it was given.
pub(crate) fn failure(run: &Invocation, what: &str, output: &Output) -> Failure {
    let mut secrets: Vec<Secret> = run.environment.values().cloned().collect();
    secrets.extend(run.stdin.iter().flat_map(|text| text.expose().lines().map(Secret::new)));
    let log = output.tail(20).iter().map(|line| mask::text(line, &secrets)).collect();
    Failure { log, ..Failure::new(format!("`{}`: {what}", run.words())) }
}

impl Converge for Command {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        if let Some(path) = &self.creates
            && system.stat_followed(path)?.is_some()
        {
            return Ok(Finding::UpToDate);
        }
        if let Some(path) = &self.removes
            && system.stat_followed(path)?.is_none()
        {
            return Ok(Finding::UpToDate);
        }
        if let Some(guard) = &self.unless
            // A guard that cannot even start (its program comes with an earlier step) does not hold.
            && system.run(&program(guard)).is_ok_and(|output| output.ended.is_success())
        {
            return Ok(Finding::UpToDate);
        }
        Ok(Finding::of([format!("run `{}`", self.run.words())]))
    }

    fn preview(&self, _: &System, _: &mut dyn Dialogue, difference: Difference) -> Outcome {
        if self.changes {
            return Outcome::WouldChange(difference);
        }
        Outcome::Skipped("skipped in check mode".to_owned())
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        dialogue.progress(&format!("running `{}`", self.run.words()), 0, 0);
        let output = system.run(&program(&self.run))?;
        let success = match output.ended {
            Ended::Exited(status) if self.success.is_empty() => status == 0,
            Ended::Exited(status) => self.success.contains(&status),
            Ended::Killed(_) | Ended::TimedOut(_) | Ended::CalledOff => false,
        };
        if !success {
            return Err(failure(&self.run, &output.ended.to_string(), &output));
        }
        if let Some(path) = &self.creates
            && system.stat_followed(path)?.is_none()
        {
            let what = format!("it ended with {}, but `{path}` is not there", output.ended);
            return Err(failure(&self.run, &what, &output));
        }
        Ok(if self.changes { Outcome::Changed(difference.clone()) } else { Outcome::Ok })
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::operation::{Mode, Operation};
    use apim_protocol::value::AbsPath;

    use super::*;
    use crate::operation::testing::Bench;

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
    fn missing_program_is_named() {
        let bench = Bench::new();
        let mut missing = command("");
        missing.run.argv = vec!["no-such-program-here".into()];
        let Outcome::Failed(failure) = bench.run(&Operation::Command(missing), Mode::Apply) else { panic!() };
        assert!(failure.what.contains("no-such-program-here"), "{failure:?}");
    }
}
