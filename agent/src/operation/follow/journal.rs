//! What systemd's journal has of a unit: asked for again and again, each time behind the last place.

use std::thread;
use std::time::Duration;

use super::Teller;
use crate::outcome::Failure;
use crate::probe::entries::Entries;
use crate::probe::tail::Wish;
use crate::probe::text::harmless;
use crate::system::{Program, System};
use crate::value::UnitName;

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER_SECS: u64 = 30;
/// How the journal names the last place told.
const CURSOR: &str = "-- cursor: ";
/// So many of its lines are asked for where an expression or a time chooses among them.
const LINES: usize = 5000;

pub(super) fn tell(
    system: &System,
    unit: &UnitName,
    wish: &Wish,
    (goes_on, teller): (bool, &mut Teller<'_>),
) -> Result<(), Failure> {
    if !system.has_systemd() {
        let what = format!("there is no journal of {unit}: systemd does not run this host");
        return Err(Failure::new(what));
    }
    let mut first =
        vec![format!("--lines={}", if wish.matching.is_some() { LINES } else { wish.last.min(LINES) })];
    first.extend(wish.since.map(|since| format!("--since=@{}", since / 1000)));
    let mut cursor = ask(system, unit, &first, (wish, teller, wish.last))?;
    teller.flush();
    if !goes_on {
        return Ok(());
    }
    teller.is_live();
    while !teller.is_over() {
        thread::sleep(ASK_EVERY);
        let behind = match &cursor {
            Some(cursor) => vec![format!("--after-cursor={cursor}")],
            None => first.clone(),
        };
        let last = ask(system, unit, &behind, (wish, teller, LINES))?;
        cursor = last.or(cursor);
        teller.flush();
    }
    Ok(())
}

/// Tells the last `most` entries of what the journal answers; returns the place that it ends at.
fn ask(
    system: &System,
    unit: &UnitName,
    more: &[String],
    (wish, teller, most): (&Wish, &mut Teller<'_>, usize),
) -> Result<Option<String>, Failure> {
    let words = ["journalctl", "--no-pager", "--quiet", "--output=short-unix", "--show-cursor", "--unit"];
    let argv = words.map(str::to_owned).into_iter().chain([format!("{unit}.service")]);
    let program = Program { timeout_secs: ANSWER_SECS, ..Program::new(argv.chain(more.iter().cloned())) };
    let output = system.run(&program)?;
    if !output.ended.is_success() {
        let said = output.tail(3).join("; ");
        return Err(Failure::new(format!("journalctl: {}: {said}", output.ended)));
    }
    let mut lines: Vec<&str> = output.stdout.lines().collect();
    let cursor = lines.last().and_then(|line| line.strip_prefix(CURSOR)).map(str::to_owned);
    lines.retain(|line| !line.starts_with(CURSOR));
    // Of a long answer only the end is there, and the first line of that is not whole.
    let whole = lines.into_iter().skip(usize::from(output.left_out > 0));
    let mut entries = Entries::new(0);
    let mut all: Vec<_> = whole.filter_map(|line| entries.push(&harmless(line.as_bytes()))).collect();
    all.extend(entries.finish());
    all.retain(|entry| wish.wants(entry));
    let surplus = all.len().saturating_sub(most);
    all.into_iter().skip(surplus).for_each(|entry| teller.tell(entry));
    Ok(cursor)
}
