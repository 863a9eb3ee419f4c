//! A folder, with mode and owner; parents that are missing are made too (0755, same owner).

use apim_protocol::operation::directory::Directory;
use apim_protocol::outcome::{Difference, Failure, Outcome};
use apim_protocol::value::FileMode;

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::attributes;
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Attributes, Kind, System};

impl Converge for Directory {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let items = match system.stat_followed(&self.path)? {
            None if system.stat(&self.path)?.is_some() => {
                let what = format!("`{}` is a symbolic link that leads nowhere", self.path);
                return Err(Failure::new(what).hint("remove the link, or make the folder it points to"));
            }
            None => vec![format!("new folder, mode {}", self.mode.unwrap_or(FileMode::new(0o755)))],
            Some(found) if found.kind == Kind::Directory => {
                attributes::differences(system, &found, self.mode, &self.owner)?
            }
            Some(found) => {
                let what = format!("`{}` is {}, expected a folder", self.path, found.kind.words());
                return Err(Failure::new(what).hint("move it away if it is not needed, then run again"));
            }
        };
        Ok(Finding::of(items))
    }

    fn apply(
        &self,
        system: &System,
        _: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        let desired = attributes::desired(system, self.mode, &self.owner)?;
        let mut missing = Vec::new();
        let mut folder = self.path.parent();
        while system.stat_followed(&folder)?.is_none() && folder.as_str() != "/" {
            let parent = folder.parent();
            missing.push(std::mem::replace(&mut folder, parent));
        }
        for folder in missing.iter().rev() {
            system.make_directory(folder, Attributes { mode: None, ids: desired.ids })?;
        }
        if system.stat_followed(&self.path)?.is_none() {
            system.make_directory(&self.path, desired)?;
        } else {
            system.set_folder_attributes(&self.path, desired)?;
        }
        Ok(Outcome::Changed(difference.clone()))
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::value::AbsPath;
    use apim_protocol::value::Owner;
    use std::fs;

    use apim_protocol::operation::{Mode, Operation};

    use super::*;
    use crate::operation::testing::Bench;

    fn desired(path: &str, mode: u32) -> Operation {
        let (path, mode) = (AbsPath::parse(path).unwrap(), Some(FileMode::new(mode)));
        Operation::Directory(Directory { path, mode, owner: Owner::default() })
    }

    #[test]
    fn folder_and_parents_are_made_once() {
        let bench = Bench::new();
        bench.assert_converges(&desired("/a/b/c", 0o700));
        assert_eq!((bench.mode("/a"), bench.mode("/a/b"), bench.mode("/a/b/c")), (0o755, 0o755, 0o700));
        bench.assert_converges(&desired("/a/b/c", 0o750));
        assert_eq!(bench.mode("/a/b/c"), 0o750);
    }

    #[test]
    fn a_link_to_a_folder_will_do_and_a_file_will_not() {
        let bench = Bench::new();
        fs::create_dir(bench.real("/data")).unwrap();
        std::os::unix::fs::symlink("/data", bench.real("/link")).unwrap();
        fs::write(bench.real("/file"), "").unwrap();
        bench.assert_converges(&desired("/link", 0o711));
        assert_eq!(bench.mode("/data"), 0o711);
        assert!(bench.run(&desired("/file", 0o755), Mode::Check).is_failure());
    }

    #[test]
    fn the_owner_is_given_to_new_parents_too() {
        let bench = Bench::new();
        if !bench.system.is_privileged() {
            return;
        }
        bench.write("/etc/passwd", "app:x:4711:4712::/:/bin/false\n");
        bench.write("/etc/group", "app:x:4712:\n");
        let owner = Owner { user: Some("app".into()), group: Some("app".into()) };
        let path = AbsPath::parse("/x/y").unwrap();
        bench.assert_converges(&Operation::Directory(Directory { path, mode: None, owner }));
        assert_eq!((bench.owner("/x"), bench.owner("/x/y")), ((4711, 4712), (4711, 4712)));
    }
}
