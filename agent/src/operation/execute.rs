//! A program that somebody asked for by hand: nothing is wished for; how it ended and what it said comes back, bounded and masked.

use serde::{Deserialize, Serialize};

use super::command::Invocation;
use super::{Converge, Dialogue, Mode};
use crate::mask;
use crate::observation::{Answer, Observation, Printed};
use crate::outcome::{Difference, Failure, Outcome};
use crate::system::System;

/// Run this once, and tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execute {
    /// What to run.
    pub run: Invocation,
    /// Whether whoever asks vouches that it only reads: then it is run in check mode too.
    pub reads_only: bool,
}

impl Execute {
    /// Runs it where that may be; a program that fails is an answer, one that cannot be started a failure.
    pub(super) fn settle(&self, mode: Mode, system: &System, dialogue: &mut dyn Dialogue) -> Outcome {
        if mode == Mode::Check && !self.reads_only {
            return Outcome::Skipped("a command is not run only to look".to_owned());
        }
        self.execute(system, dialogue).unwrap_or_else(Outcome::Failed)
    }

    fn execute(&self, system: &System, dialogue: &mut dyn Dialogue) -> Result<Outcome, Failure> {
        dialogue.progress("running", 0, 0);
        let output = system.run_until(&self.run.program(), &|| dialogue.is_called_off())?;
        let printed = Printed {
            ended: output.ended,
            stdout: mask::text(&output.stdout, &[]),
            stderr: mask::text(&output.stderr, &[]),
            left_out: output.left_out,
        };
        let answers = vec![Answer::Printed(Box::new(printed))];
        Ok(Outcome::Observed(Box::new(Observation { answers, ..Observation::default() })))
    }
}

/// Nothing is wished for, so nothing can differ; `converge` runs it instead of asking.
impl Converge for Execute {
    fn check(&self, _: &System) -> Result<Option<Difference>, Failure> {
        Ok(None)
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        _: &Difference,
    ) -> Result<Outcome, Failure> {
        self.execute(system, dialogue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Ended;
    use crate::operation::Operation;
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
