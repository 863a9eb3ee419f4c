//! Our lines between marker lines in a file that we do not own, such as `/etc/hosts`.

use apim_protocol::operation::block::Block;
use apim_protocol::outcome::{Difference, Failure, Outcome};

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::operation::support::text;
use crate::operation::support::text::Edit;
use crate::system::System;

fn edit(block: &Block, system: &System) -> Result<Edit, Failure> {
    let (begin, end) = (format!("# BEGIN {}", block.marker), format!("# END {}", block.marker));
    let old = text::read(system, &block.path)?;
    let lines = text::lines(old.as_deref().unwrap_or_default());
    let at = |marker: &str| -> Vec<usize> {
        let found = lines.iter().enumerate().filter(|(_, line)| text::bare(line) == marker.as_bytes());
        found.map(|(at, _)| at).collect()
    };
    let mut ours = Vec::new();
    if !block.lines.is_empty() {
        for line in std::iter::once(&begin).chain(&block.lines).chain(std::iter::once(&end)) {
            ours.extend_from_slice(line.as_bytes());
            ours.push(b'\n');
        }
    }
    let (new, found) = match (at(&begin).as_slice(), at(&end).as_slice()) {
        ([], []) => {
            let mut new = old.clone().unwrap_or_default();
            if !ours.is_empty() {
                text::end_line(&mut new);
            }
            new.extend_from_slice(&ours);
            (new, None)
        }
        ([from], [to]) if from < to => {
            let before = lines.get(..*from).unwrap_or_default().concat();
            let found = lines.get(*from..=*to).unwrap_or_default().concat();
            let after = lines.get(to + 1..).unwrap_or_default().concat();
            ([before, ours.clone(), after].concat(), Some(found))
        }
        (begins, ends) => {
            let what = format!(
                "`{}` holds {} lines `{begin}` and {} lines `{end}`, where one of each in this order is expected",
                block.path,
                begins.len(),
                ends.len()
            );
            return Err(Failure::new(what).hint("remove the stray marker lines by hand, then run again"));
        }
    };
    Ok(Edit { old, new, found, ours })
}

fn require_valid(block: &Block) -> Result<(), Failure> {
    let texts = block.lines.iter().chain(std::iter::once(&block.marker));
    if block.marker.trim().is_empty() || texts.into_iter().any(|text| text.contains(['\n', '\r', '\0'])) {
        let what = format!(
            "the block for `{}` has an empty marker, or a line that is more than one line",
            block.path
        );
        return Err(Failure::new(what));
    }
    Ok(())
}

impl Converge for Block {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        require_valid(self)?;
        let edit = edit(self, system)?;
        let item = if self.lines.is_empty() { "remove the block" } else { "write the block" };
        Ok(text::difference(&edit, &self.path, &format!("{item} `{}`", self.marker)).into())
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
        text::write(system, &self.path, &self.marker, &edit, difference)
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::operation::{Mode, Operation};
    use apim_protocol::value::AbsPath;

    use super::*;
    use crate::operation::testing::Bench;

    fn desired(lines: &[&str], create: bool) -> Operation {
        let lines = lines.iter().map(ToString::to_string).collect();
        Operation::Block(Block {
            path: AbsPath::parse("/etc/hosts").unwrap(),
            marker: "ours".into(),
            lines,
            create,
        })
    }

    #[test]
    fn the_block_is_added_changed_and_removed_and_the_rest_stays() {
        let bench = Bench::new();
        bench.write("/etc/hosts", "127.0.0.1 localhost");
        bench.assert_converges(&desired(&["10.0.0.1 a"], false));
        assert_eq!(bench.text("/etc/hosts"), "127.0.0.1 localhost\n# BEGIN ours\n10.0.0.1 a\n# END ours\n");
        bench.write("/etc/hosts", &format!("{}# after\n", bench.text("/etc/hosts")));
        bench.assert_converges(&desired(&["10.0.0.2 a", "10.0.0.3 b"], false));
        let expected = "127.0.0.1 localhost\n# BEGIN ours\n10.0.0.2 a\n10.0.0.3 b\n# END ours\n# after\n";
        assert_eq!(bench.text("/etc/hosts"), expected);
        bench.assert_converges(&desired(&[], false));
        assert_eq!(bench.text("/etc/hosts"), "127.0.0.1 localhost\n# after\n");
    }

    #[test]
    fn a_missing_file_is_made_only_when_allowed() {
        let bench = Bench::new();
        bench.write("/etc/other", "");
        assert!(bench.run(&desired(&["x"], false), Mode::Apply).is_failure());
        bench.assert_converges(&desired(&["x"], true));
        assert_eq!(bench.mode("/etc/hosts"), 0o644);
    }

    #[test]
    fn stray_markers_are_a_failure_and_nothing_is_lost() {
        let bench = Bench::new();
        for text in
            ["# BEGIN ours\nx\n", "# END ours\n# BEGIN ours\n", "# BEGIN ours\n# BEGIN ours\n# END ours\n"]
        {
            bench.write("/etc/hosts", text);
            assert!(bench.run(&desired(&["y"], false), Mode::Apply).is_failure(), "{text}");
            assert_eq!(bench.text("/etc/hosts"), text);
        }
        assert!(bench.run(&desired(&["a\n10.0.0.1 evil"], false), Mode::Check).is_failure());
    }

    #[test]
    fn an_edit_inside_the_block_is_noted_and_one_outside_is_not() {
        let bench = Bench::new();
        let path = AbsPath::parse("/etc/hosts").unwrap();
        let put_right = || crate::operation::support::edited::put_right(&bench.system, &path).unwrap();
        bench.write("/etc/hosts", "a\n");
        bench.assert_converges(&desired(&["x"], false));
        bench.write("/etc/hosts", &format!("new\n{}", bench.text("/etc/hosts")));
        bench.assert_converges(&desired(&["y"], false));
        assert_eq!(put_right(), None);
        bench.write("/etc/hosts", &bench.text("/etc/hosts").replace('y', "z"));
        bench.assert_converges(&desired(&["y"], false));
        assert!(put_right().is_some());
    }
}
