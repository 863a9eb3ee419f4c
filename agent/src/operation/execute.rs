//! A program run ad hoc: its exit status and output are returned, bounded and masked.

use apim_protocol::mask;
use apim_protocol::observation::{Answer, Observation, Printed};
use apim_protocol::operation::execute::Execute;
use apim_protocol::outcome::{Difference, Failure, Outcome};

use crate::operation::command;
use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::System;

/// Runs it. A program that fails is an answer, one that cannot be started a failure.
fn execute(execute: &Execute, system: &System, dialogue: &mut dyn Dialogue) -> Result<Outcome, Failure> {
    dialogue.progress("running", 0, 0);
    let output = system.run_until(&command::program(&execute.run), &|| dialogue.is_called_off())?;
    let printed = Printed {
        ended: output.ended,
        stdout: mask::text(&output.stdout, &[]),
        stderr: mask::text(&output.stderr, &[]),
        left_out: output.left_out,
    };
    let answers = vec![Answer::Printed(Box::new(printed))];
    Ok(Outcome::Observed(Box::new(Observation { answers, ..Observation::default() })))
}

impl Converge for Execute {
    fn check(&self, _: &System) -> Result<Finding, Failure> {
        Ok(Finding::of([format!("run `{}`", self.run.words())]))
    }

    fn preview(&self, system: &System, dialogue: &mut dyn Dialogue, _: Difference) -> Outcome {
        if self.reads_only {
            return execute(self, system, dialogue).unwrap_or_else(Outcome::Failed);
        }
        Outcome::Skipped("skipped in check mode".to_owned())
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        _: &Difference,
    ) -> Result<Outcome, Failure> {
        execute(self, system, dialogue)
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::observation::Ended;
    use apim_protocol::operation::command::Invocation;
    use apim_protocol::operation::{Mode, Operation};

    use super::*;
    use crate::operation::testing::Bench;

    fn shell(script: &str, reads_only: bool) -> Operation {
        let run = Invocation {
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            timeout_secs: 20,
            ..Invocation::default()
        };
        Operation::Execute(Execute { run, reads_only })
    }

    fn printed(outcome: Outcome) -> Printed {
        match outcome {
            Outcome::Observed(seen) => match seen.answers.as_slice() {
                [Answer::Printed(printed)] => (**printed).clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn how_it_ended_and_what_it_said_comes_back_masked() {
        let bench = Bench::new();
        let said = printed(bench.run(&shell("echo password=x1; echo oops >&2; exit 3", false), Mode::Apply));
        assert_eq!(said.ended, Ended::Exited(3));
        assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("password=****\n", "oops\n"));
        assert_eq!(said.left_out, 0);
    }

    #[test]
    fn only_to_look_it_is_run_when_it_only_reads() {
        let bench = Bench::new();
        assert!(matches!(bench.run(&shell("true", false), Mode::Check), Outcome::Skipped(_)));
        assert_eq!(printed(bench.run(&shell("true", true), Mode::Check)).ended, Ended::Exited(0));
    }

    #[test]
    fn of_much_output_the_end_is_kept_and_the_rest_counted() {
        let bench = Bench::new();
        let said = printed(bench.run(&shell("seq 1 100000", false), Mode::Apply));
        assert!(said.stdout.ends_with("\n100000\n") && said.stdout.len() <= 64 * 1024);
        assert_eq!(said.left_out + said.stdout.len() as u64, 588_895);
    }

    #[test]
    fn a_program_that_cannot_be_started_is_a_failure() {
        let run = Invocation { argv: vec!["no-such-program-here".into()], ..Invocation::default() };
        let outcome = Bench::new().run(&Operation::Execute(Execute { run, reads_only: false }), Mode::Apply);
        assert!(
            matches!(&outcome, Outcome::Failed(why) if why.what.contains("no-such-program")),
            "{outcome:?}"
        );
    }
}
