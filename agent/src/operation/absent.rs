//! A path does not exist.

use apim_protocol::operation::absent::Absent;
use apim_protocol::outcome::{Difference, Failure, Outcome};

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Kind, System};

impl Converge for Absent {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let Some(found) = system.stat(&self.path)? else { return Ok(Finding::UpToDate) };
        if self.path.as_str().matches('/').count() < 2 && self.recursive && found.kind == Kind::Directory {
            let what = format!(
                "`{}` is a folder at the top of the host, and is not removed with all it holds",
                self.path
            );
            return Err(Failure::new(what).hint("name the folder below it that is meant"));
        }
        if found.kind == Kind::Directory && !self.recursive && !system.names(&self.path)?.is_empty() {
            let what = format!("`{}` is a folder that is not empty", self.path);
            return Err(Failure::new(what).hint("ask for its removal with all it holds, if that is meant"));
        }
        Ok(Finding::of([format!("remove {}", found.kind.words())]))
    }

    fn apply(
        &self,
        system: &System,
        _: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        system.remove(&self.path, self.recursive)?;
        Ok(Outcome::Changed(difference.clone()))
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::value::AbsPath;
    use std::fs;
    use std::os::unix::fs::symlink;

    use apim_protocol::operation::{Mode, Operation};

    use super::*;
    use crate::operation::testing::Bench;

    fn desired(path: &str, recursive: bool) -> Operation {
        Operation::Absent(Absent { path: AbsPath::parse(path).unwrap(), recursive })
    }

    #[test]
    fn what_is_there_goes_and_links_are_not_followed() {
        let bench = Bench::new();
        bench.write("/keep/file", "1");
        bench.write("/a/gone/deep/file", "1");
        symlink("/keep", bench.real("/a/gone/link")).unwrap();
        symlink(bench.real("/keep"), bench.real("/a/gone/deep/link")).unwrap();
        bench.assert_converges(&desired("/a/gone", true));
        assert!(!bench.real("/a/gone").exists() && bench.real("/keep/file").exists());
        symlink("/keep", bench.real_itself("/a/only-link")).unwrap();
        bench.assert_converges(&desired("/a/only-link", true));
        assert!(bench.real("/keep/file").exists());
    }

    #[test]
    fn filled_folder_needs_recursive() {
        let bench = Bench::new();
        bench.write("/a/b/file", "1");
        assert!(bench.run(&desired("/a/b", false), Mode::Apply).is_failure());
        assert!(bench.run(&desired("/a", true), Mode::Apply).is_failure(), "top of the host");
        fs::remove_file(bench.real("/a/b/file")).unwrap();
        bench.assert_converges(&desired("/a/b", false));
    }
}
