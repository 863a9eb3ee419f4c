//! Asking before something is done that cannot simply be taken back.

use std::io::{IsTerminal as _, stderr, stdin};

use super::exit::{Exit, Kind};
use crate::report::remark;

/// Asks `question` on a terminal and goes on with a yes. Where nobody can be asked only `yes` is one.
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), Exit> {
    if yes {
        return Ok(());
    }
    if !stdin().is_terminal() || !stderr().is_terminal() {
        let exit = Exit::new(Kind::Usage, "nobody is there to be asked; no host was changed");
        return Err(exit.hint("say --yes if that is what you want"));
    }
    remark(&format!("{question} Type yes to go on: "));
    let mut answer = String::new();
    stdin()
        .read_line(&mut answer)
        .map_err(|error| Exit::new(Kind::Failed, format!("cannot read the answer: {error}")))?;
    match answer.trim().to_lowercase().as_str() {
        "yes" | "y" => Ok(()),
        _ => Err(Exit::new(Kind::Interrupted, "not confirmed; no host was changed")),
    }
}
