//! Confirmation prompts for actions that are hard to undo.

use std::io::{IsTerminal as _, stderr, stdin};

use crate::app::exit::{Exit, Kind};
use crate::app::verb::Verb;
use crate::report::remark;

/// Prompts with `question` if the verb asks for confirmation, and returns an error unless the answer
/// is yes. Without a terminal, `yes` must be set.
pub(crate) fn confirm(verb: Verb, question: &str, yes: bool) -> Result<(), Exit> {
    if yes || !verb.policy().asks_for_confirmation {
        return Ok(());
    }
    if !stdin().is_terminal() || !stderr().is_terminal() {
        let exit = Exit::new(Kind::Usage, "no terminal to confirm on; no host was changed");
        return Err(exit.hint("pass --yes"));
    }
    remark(&format!("{question} Type yes to continue: "));
    let mut answer = String::new();
    stdin()
        .read_line(&mut answer)
        .map_err(|error| Exit::new(Kind::Failed, format!("cannot read the answer: {error}")))?;
    match answer.trim().to_lowercase().as_str() {
        "yes" | "y" => Ok(()),
        _ => Err(Exit::new(Kind::Interrupted, "not confirmed; no host was changed")),
    }
}
