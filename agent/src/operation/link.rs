//! A symbolic link, replaced atomically.

use apim_protocol::operation::link::Link;
use apim_protocol::outcome::{Difference, Failure, Outcome};

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::System;

impl Converge for Link {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let found = system.link_target(&self.path).map_err(|error| {
            Failure::from(error)
                .hint("only a link is replaced by a link; move what is there away, then run again")
        })?;
        Ok(match found {
            Some(found) if found.as_os_str() == self.target.as_str() => Finding::UpToDate,
            Some(found) => Finding::of([format!("link {} -> {}", found.display(), self.target)]),
            None => Finding::of([format!("new link to {}", self.target)]),
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
    use apim_protocol::value::AbsPath;
    use std::fs;

    use apim_protocol::operation::{Mode, Operation};

    use super::*;
    use crate::operation::testing::Bench;

    fn desired(target: &str) -> Operation {
        let (path, target) = (AbsPath::parse("/current").unwrap(), AbsPath::parse(target).unwrap());
        Operation::Link(Link { path, target })
    }

    #[test]
    fn a_link_is_made_and_turned() {
        let bench = Bench::new();
        bench.assert_converges(&desired("/releases/1"));
        bench.assert_converges(&desired("/releases/2"));
        assert_eq!(fs::read_link(bench.real_itself("/current")).unwrap().as_os_str(), "/releases/2");
    }

    #[test]
    fn a_folder_is_never_replaced_by_a_link() {
        let bench = Bench::new();
        fs::create_dir(bench.real("/current")).unwrap();
        assert!(bench.run(&desired("/x"), Mode::Apply).is_failure());
        assert!(bench.real("/current").is_dir());
    }
}
