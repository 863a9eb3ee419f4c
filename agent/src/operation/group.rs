//! A group exists. Below `--root` no database is edited: a group that is missing there is noted in the state folder, and then counts as made.

use apim_protocol::operation::group::Group;
use apim_protocol::outcome::{Difference, Failure, Outcome};

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Program, System};

/// The accounts and groups that the agent created; below `--root`, where none is created, those that were desired.
const NOTED: &str = "accounts.json";

/// Records that the agent created `name`, or below `--root` that it was desired.
pub(super) fn note(system: &System, name: &str) -> Result<(), Failure> {
    let mut noted: std::collections::BTreeSet<String> = system.state().read(NOTED)?.unwrap_or_default();
    noted.insert(name.to_owned());
    Ok(system.state().write(NOTED, &noted)?)
}

/// Forgets that again.
pub(super) fn forget(system: &System, name: &str) -> Result<(), Failure> {
    let mut noted: std::collections::BTreeSet<String> = system.state().read(NOTED)?.unwrap_or_default();
    noted.remove(name);
    Ok(system.state().write(NOTED, &noted)?)
}

/// Says whether the agent created `name`, or below `--root` whether it was desired before.
pub(super) fn is_noted(system: &System, name: &str) -> Result<bool, Failure> {
    let noted: Option<std::collections::BTreeSet<String>> = system.state().read(NOTED)?;
    Ok(noted.is_some_and(|noted| noted.contains(name)))
}

/// Runs one of the tools that edit the account databases.
pub(super) fn edit(system: &System, argv: Vec<String>) -> Result<(), Failure> {
    let (program, what) = (Program::new(argv.iter().cloned()), format!("`{}` did not work", argv.join(" ")));
    let output = system.run(&program).map_err(|error| {
        Failure::from(error)
            .hint("install the package with useradd and groupadd, or create the account by hand")
    })?;
    if output.ended.is_success() {
        return Ok(());
    }
    let hint = (!system.is_privileged()).then(|| "accounts can be made by root only: use become".to_owned());
    Err(Failure { log: output.tail(10), hint, ..Failure::new(format!("{what}: {}", output.ended)) })
}

/// Refuses a name that the tools could take for something else.
pub(super) fn valid(kind: &str, name: &str) -> Result<(), Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > 32 || name.starts_with(['-', '.']) || !name.chars().all(fits) {
        let what = format!(
            "`{name}` is not a valid name for {kind}: up to 32 letters, digits and - _ . , not - first"
        );
        return Err(Failure::new(what));
    }
    Ok(())
}

impl Converge for Group {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        valid("a group", &self.name)?;
        if let Some(found) = system.group(&self.name)? {
            return match self.gid {
                Some(gid) if gid != found.gid => {
                    let what =
                        format!("the group `{}` has the number {}, expected {gid}", self.name, found.gid);
                    let hint = "numbers of groups that exist are not changed: files would change hands";
                    Err(Failure::new(what).hint(hint))
                }
                _ => Ok(Finding::UpToDate),
            };
        }
        if system.is_rooted() && is_noted(system, &format!("group:{}", self.name))? {
            return Ok(Finding::UpToDate);
        }
        Ok(Finding::of([format!("new group `{}`", self.name)]))
    }

    fn apply(
        &self,
        system: &System,
        _: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        if system.is_rooted() {
            note(system, &format!("group:{}", self.name))?;
        } else {
            let mut argv = vec!["groupadd".to_owned(), "--system".to_owned()];
            argv.extend(self.gid.iter().flat_map(|gid| ["--gid".to_owned(), gid.to_string()]));
            argv.push(self.name.clone());
            edit(system, argv)?;
        }
        Ok(Outcome::Changed(difference.clone()))
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::operation::{Mode, Operation};

    use super::*;
    use crate::operation::testing::Bench;

    fn desired(name: &str, gid: Option<u32>) -> Operation {
        Operation::Group(Group { name: name.into(), gid })
    }

    #[test]
    fn below_a_root_a_missing_group_is_only_noted() {
        let bench = Bench::new();
        bench.write("/etc/group", "old:x:815:\n");
        bench.assert_converges(&desired("new", None));
        assert_eq!(bench.run(&desired("old", Some(815)), Mode::Apply), Outcome::Ok);
        assert!(bench.run(&desired("old", Some(816)), Mode::Check).is_failure());
        assert!(bench.run(&desired("-evil", None), Mode::Check).is_failure());
        assert_eq!(bench.text("/etc/group"), "old:x:815:\n");
    }
}
