//! Finding out from what a service wrote why it does not become healthy.

use apim_protocol::mask;
use apim_protocol::operation::wait::Cause;
use regex::{RegexSet, RegexSetBuilder};

use crate::probe::text::shortened;

/// How large the compiled patterns may become, in bytes.
const SIZE_LIMIT: usize = 8 * 1024 * 1024;
/// How much of a line is shown.
const SHOWN: usize = 400;

/// The causes seen so far.
#[derive(Debug)]
pub(super) struct Causes<'a> {
    causes: &'a [Cause],
    set: RegexSet,
    lines: Vec<Option<String>>,
}

impl<'a> Causes<'a> {
    pub(super) fn new(causes: &'a [Cause]) -> Result<Self, regex::Error> {
        let patterns = causes.iter().map(|cause| cause.pattern.as_str());
        let set = RegexSetBuilder::new(patterns).size_limit(SIZE_LIMIT).build()?;
        Ok(Self { causes, set, lines: vec![None; causes.len()] })
    }

    /// Takes a line into account; of each cause the first line is kept.
    pub(super) fn feed(&mut self, line: &str) {
        for at in self.set.matches(line) {
            if let Some(first @ None) = self.lines.get_mut(at) {
                *first = Some(shortened(&mask::line(line), SHOWN));
            }
        }
    }

    /// Forgets what was seen, because the service was restarted.
    pub(super) fn forget(&mut self) {
        self.lines.iter_mut().for_each(|line| *line = None);
    }

    /// Returns the causes seen, most telling first, each with its line.
    pub(super) fn seen(&self) -> Vec<(&'a Cause, &str)> {
        let with_lines = self.causes.iter().zip(&self.lines);
        with_lines.filter_map(|(cause, line)| Some((cause, line.as_deref()?))).collect()
    }

    /// Says whether one of them is the end.
    pub(super) fn is_fatal(&self) -> bool {
        self.seen().iter().any(|(cause, _)| cause.fatal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(pattern: &str, fatal: bool) -> Cause {
        Cause { pattern: pattern.to_owned(), cause: pattern.to_owned(), hint: String::new(), fatal }
    }

    #[test]
    fn causes_come_in_the_order_of_the_list_with_their_first_lines_masked() {
        let list = [cause("denied", true), cause("slow", false)];
        let mut causes = Causes::new(&list).unwrap();
        causes.feed("it is slow");
        assert!(!causes.is_fatal());
        causes.feed("access denied, password=hunter2");
        causes.feed("access denied again");
        let lines: Vec<&str> = causes.seen().iter().map(|(_, line)| *line).collect();
        assert_eq!(lines, ["access denied, password=****", "it is slow"]);
        assert!(causes.is_fatal());
    }
}
