//! A file fetched by the host from a URL, verified by digest.

use serde::{Deserialize, Serialize};

use super::archive::Pull;
use super::arrival::Arrival;
use super::{Converge, Dialogue, attributes, pull};
use crate::outcome::{Difference, Failure, Outcome};
use crate::system::{Bytes, Kind, System};
use crate::value::{AbsPath, FileMode, Owner};

/// The file at `path` holds what `pull` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// What and whence.
    pub pull: Pull,
    /// Where to.
    pub path: AbsPath,
    /// Its mode; `None` as for a file.
    pub mode: Option<FileMode>,
    /// Its owner.
    pub owner: Owner,
}

impl Download {
    fn is_there(&self, system: &System) -> Result<bool, Failure> {
        match system.stat(&self.path)? {
            None => Ok(false),
            Some(found) if found.kind == Kind::File => {
                Ok(system.digest(&self.path)?.is_some_and(|digest| digest == self.pull.sha256))
            }
            Some(found) => {
                let what = format!("`{}` is {}, where a file is wished", self.path, found.kind.words());
                Err(Failure::new(what).hint("move it away if it is not needed, then run again"))
            }
        }
    }
}

impl Converge for Download {
    fn check(&self, system: &System) -> Result<Option<Difference>, Failure> {
        let mut items = Vec::new();
        if !self.is_there(system)? {
            items.push(format!("download the file {}…", self.pull.sha256.short()));
        }
        if let Some(found) = system.stat(&self.path)? {
            items.extend(attributes::differences(system, &found, self.mode, &self.owner)?);
        }
        Ok((!items.is_empty()).then_some(Difference::of(items)))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        let wish = attributes::wish(system, self.mode, &self.owner)?;
        if self.is_there(system)? {
            system.set_attributes(&self.path, wish)?;
        } else {
            let file = pull::fetch(system, &self.pull, dialogue, &Arrival::default())?;
            system.state().note_writing(&self.path, self.pull.sha256)?;
            system.write(&self.path, &Bytes::File(&file), wish)?;
            // It has served; a leftover is swept later.
            std::fs::remove_file(&file).ok();
        }
        system.state().note_written(&self.path, self.pull.sha256)?;
        Ok(Outcome::Changed(difference.clone()))
    }
}
