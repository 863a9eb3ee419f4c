//! A file fetched by the host from a URL, verified by digest.

use apim_protocol::operation::download::Download;
use apim_protocol::outcome::{Difference, Failure, Outcome};

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::arrival::Arrival;
use crate::operation::support::dialogue::Dialogue;
use crate::operation::support::{attributes, pull};
use crate::system::{Bytes, Kind, System};

fn is_there(download: &Download, system: &System) -> Result<bool, Failure> {
    match system.stat(&download.path)? {
        None => Ok(false),
        Some(found) if found.kind == Kind::File => {
            Ok(system.digest(&download.path)?.is_some_and(|digest| digest == download.pull.sha256))
        }
        Some(found) => {
            let what = format!("`{}` is {}, expected a regular file", download.path, found.kind.words());
            Err(Failure::new(what).hint("move it away if it is not needed, then run again"))
        }
    }
}

impl Converge for Download {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let mut items = Vec::new();
        if !is_there(self, system)? {
            items.push(format!("download the file {}…", self.pull.sha256.short()));
        }
        if let Some(found) = system.stat(&self.path)? {
            items.extend(attributes::differences(system, &found, self.mode, &self.owner)?);
        }
        Ok(Finding::of(items))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        let desired = attributes::desired(system, self.mode, &self.owner)?;
        if is_there(self, system)? {
            system.set_attributes(&self.path, desired)?;
        } else {
            let file = pull::fetch(system, &self.pull, dialogue, &Arrival::default())?;
            system.state().note_writing(&self.path, self.pull.sha256)?;
            system.write(&self.path, &Bytes::File(&file), desired)?;
            // It has served; a leftover is swept later.
            std::fs::remove_file(&file).ok();
        }
        system.state().note_written(&self.path, self.pull.sha256)?;
        Ok(Outcome::Changed(difference.clone()))
    }
}
