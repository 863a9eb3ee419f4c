//! One line in a file that we do not own.

use apim_protocol::operation::line::Line;
use apim_protocol::outcome::{Difference, Failure, Outcome};
use regex::bytes::Regex;

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::operation::support::text;
use crate::operation::support::text::Edit;
use crate::system::System;

fn edit(line: &Line, system: &System) -> Result<Edit, Failure> {
    if line.line.contains(['\n', '\r', '\0']) {
        return Err(Failure::new(format!("the line for `{}` is more than one line", line.path)));
    }
    let pattern = match &line.pattern {
        None => None,
        Some(text) => Some(Regex::new(text).map_err(|error| {
            Failure::from_error(
                format!("the pattern `{text}` for a line of `{}` cannot be used", line.path),
                &error,
            )
        })?),
    };
    let desired = line.line.as_bytes();
    let is_meant =
        |line: &[u8]| pattern.as_ref().map_or_else(|| line == desired, |pattern| pattern.is_match(line));
    let old = text::read(system, &line.path)?;
    let lines = text::lines(old.as_deref().unwrap_or_default());
    let mut new = Vec::new();
    let mut found = None;
    if line.present {
        let bare: Vec<&[u8]> = lines.iter().map(|line| text::bare(line)).collect();
        let meant = bare.iter().rposition(|line| is_meant(line));
        // A pattern that matches nothing must not add a line that is there already.
        let at = meant.or_else(|| bare.iter().rposition(|line| *line == desired));
        for (n, line) in lines.iter().enumerate() {
            if at == Some(n) {
                found = Some(text::bare(line).to_vec());
                new.extend_from_slice(desired);
                new.extend_from_slice(line.get(text::bare(line).len()..).unwrap_or_default());
            } else {
                new.extend_from_slice(line);
            }
        }
        if at.is_none() {
            text::end_line(&mut new);
            new.extend_from_slice(desired);
            new.push(b'\n');
        }
    } else {
        for line in lines.iter().filter(|line| !is_meant(text::bare(line))) {
            new.extend_from_slice(line);
        }
    }
    Ok(Edit { old, new, found, ours: desired.to_vec() })
}

impl Converge for Line {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let edit = edit(self, system)?;
        let item = match (self.present, edit.found.is_some()) {
            (false, _) => "remove a line",
            (true, true) => "change a line",
            (true, false) => "add a line",
        };
        Ok(text::difference(&edit, &self.path, item).into())
    }

    fn apply(
        &self,
        system: &System,
        _: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        let edit = edit(self, system)?;
        if edit.old.is_none() && !self.create {
            return Err(text::missing(&self.path));
        }
        text::write(system, &self.path, self.pattern.as_ref().unwrap_or(&self.line), &edit, difference)
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::operation::{Mode, Operation};
    use apim_protocol::value::AbsPath;

    use super::*;
    use crate::operation::testing::Bench;

    fn desired(pattern: Option<&str>, line: &str, present: bool) -> Operation {
        let path = AbsPath::parse("/etc/conf").unwrap();
        let (pattern, line) = (pattern.map(str::to_owned), line.to_owned());
        Operation::Line(Line { path, pattern, line, present, create: true })
    }

    #[test]
    fn the_last_match_is_replaced_or_the_line_added() {
        let bench = Bench::new();
        bench.write("/etc/conf", "a=1\r\na=2\nb=1");
        bench.assert_converges(&desired(Some("^a="), "a=3", true));
        assert_eq!(bench.text("/etc/conf"), "a=1\r\na=3\nb=1");
        bench.assert_converges(&desired(Some("^c="), "c=1", true));
        assert_eq!(bench.text("/etc/conf"), "a=1\r\na=3\nb=1\nc=1\n");
        assert_eq!(bench.run(&desired(Some("^nothing"), "c=1", true), Mode::Apply), Outcome::Ok);
        bench.assert_converges(&desired(None, "d", true));
    }

    #[test]
    fn all_matches_are_removed() {
        let bench = Bench::new();
        bench.write("/etc/conf", "a=1\nb=1\na=2\n");
        bench.assert_converges(&desired(Some("^a="), "", false));
        assert_eq!(bench.text("/etc/conf"), "b=1\n");
        assert_eq!(bench.run(&desired(None, "not there", false), Mode::Apply), Outcome::Ok);
    }

    #[test]
    fn bad_patterns_and_split_lines_are_failures() {
        let bench = Bench::new();
        bench.write("/etc/conf", "a\n");
        assert!(bench.run(&desired(Some("("), "x", true), Mode::Check).is_failure());
        assert!(bench.run(&desired(None, "x\ny", true), Mode::Check).is_failure());
    }
}
