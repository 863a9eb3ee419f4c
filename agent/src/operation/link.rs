//! A symbolic link, replaced atomically.

use serde::{Deserialize, Serialize};

use super::{Converge, Dialogue};
use crate::outcome::{Difference, Failure, Outcome};
use crate::system::System;
use crate::value::AbsPath;

/// A symbolic link at `path` points to `target`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Where the link stands. A thing that is not a link there is a failure, never replaced.
    pub path: AbsPath,
    /// Where it points.
    pub target: AbsPath,
}

impl Converge for Link {
    fn check(&self, system: &System) -> Result<Option<Difference>, Failure> {
        let found = system.link_target(&self.path).map_err(|error| {
            Failure::from(error)
                .hint("only a link is replaced by a link; move what is there away, then run again")
        })?;
        Ok(match found {
            Some(found) if found.as_os_str() == self.target.as_str() => None,
            Some(found) => Some(Difference::one(format!("link {} -> {}", found.display(), self.target))),
            None => Some(Difference::one(format!("new link to {}", self.target))),
        })
    }

    fn apply(
        &self,
        system: &System,
        _: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        system.link(&self.path, self.target.as_str().as_ref())?;
        Ok(Outcome::Changed(difference.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::operation::testing::Bench;
    use crate::operation::{Mode, Operation};

    fn wish(target: &str) -> Operation {
        let (path, target) = (AbsPath::parse("/current").unwrap(), AbsPath::parse(target).unwrap());
        Operation::Link(Link { path, target })
    }

    #[test]
    fn a_link_is_made_and_turned() {
        let bench = Bench::new();
        bench.assert_converges(&wish("/releases/1"));
        bench.assert_converges(&wish("/releases/2"));
        assert_eq!(fs::read_link(bench.real_itself("/current")).unwrap().as_os_str(), "/releases/2");
    }

    #[test]
    fn a_folder_is_never_replaced_by_a_link() {
        let bench = Bench::new();
        fs::create_dir(bench.real("/current")).unwrap();
        assert!(bench.run(&wish("/x"), Mode::Apply).is_failure());
        assert!(bench.real("/current").is_dir());
    }
}
