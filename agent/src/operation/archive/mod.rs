//! An archive (zip or tar.gz) unpacked at a folder, all or nothing.
//!
//! It is unpacked beside the destination while it arrives (of a zip, only what a former release beside it does not have), its `prepare` commands are run there, a stamp that names the archive's digest is
//! written into it, and then it is renamed into place: a folder with our stamp is whole, and its commands ran exactly once.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::command::Invocation;
use super::{Converge, Dialogue};
use crate::outcome::{Change, Difference, Failure, Outcome};
use crate::system::{Attributes, Bytes, Kind, System};
use crate::value::{AbsPath, Content, FileMode, Owner, Sha256};

mod arriving;
mod bytes;
mod contents;
pub mod outline;
pub mod part;
mod renew;
#[cfg(test)]
mod tests;
mod unpack;
mod untar;
mod unzip;

use unpack::Unpacked;

/// The longest target of a link in an archive.
const MAX_LINK: u64 = 4096;
/// Written last into an unpacked folder: who has it is whole.
const STAMP: &str = ".apim-deploy.json";

/// The archive is unpacked at `destination`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Where the bytes come from.
    pub source: Source,
    /// Which kind of archive.
    pub format: Format,
    /// The folder that will hold the content of the archive (of its single top folder when `strip_top`).
    pub destination: AbsPath,
    /// Whether the archive has one top folder (detected; more than one is a failure) that is dropped.
    pub strip_top: bool,
    /// Who owns everything in it.
    pub owner: Owner,
    /// Commands run inside the unpacked folder (working directory) before it is put into place, in order.
    pub prepare: Vec<Prepare>,
    /// Cap on the unpacked size in bytes.
    pub max_bytes: u64,
    /// Cap on the number of entries.
    pub max_entries: u64,
}

/// A command that makes the unpacked folder ready, and how to know that it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// What the command does, for people.
    pub title: String,
    /// The command; a relative program is looked for in the unpacked folder.
    pub command: Invocation,
    /// A text that its output must hold (exit status 0 proves nothing for some scripts).
    pub output_holds: Option<String>,
    /// Relative paths that must exist afterwards.
    pub then_present: Vec<String>,
    /// Relative paths that must not exist afterwards.
    pub then_absent: Vec<String>,
}

/// Where an archive's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Sent by the orchestrator.
    Pushed(Content),
    /// Fetched by this host.
    Pulled(Pull),
}

impl Source {
    /// Returns the digest of the bytes.
    #[must_use]
    pub const fn sha256(&self) -> Sha256 {
        match self {
            Self::Pushed(content) => content.sha256,
            Self::Pulled(pull) => pull.sha256,
        }
    }
}

/// A download by the host itself: resumed by range, verified by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// An `http://` or `https://` URL.
    pub url: String,
    /// What the bytes must be.
    pub sha256: Sha256,
    /// A proxy URL; `None` for none.
    pub proxy: Option<String>,
    /// Cap on the size in bytes.
    pub max_bytes: u64,
}

/// The archive formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A zip.
    Zip,
    /// A gzipped tar.
    TarGz,
}

/// What the stamp says.
#[derive(Debug, Serialize, Deserialize)]
struct Stamp {
    /// The digest of the archive.
    sha256: Sha256,
    /// Seconds since 1970 when it was whole.
    finished: u64,
}

impl Archive {
    /// Says whether the destination is there, whole, and from this archive.
    fn is_there(&self, system: &System) -> Result<bool, Failure> {
        let at = &self.destination;
        match system.stat_followed(at)? {
            None => return Ok(false),
            Some(found) if found.kind != Kind::Directory => {
                let what = format!("`{at}` is {}, where a folder is to be unpacked", found.kind.words());
                return Err(Failure::new(what).hint("move it away if it is not needed, then run again"));
            }
            Some(_) => {}
        }
        let stamp = system.read(&at.join(STAMP).map_err(|e| bad_path(&e))?, 64 * 1024)?;
        let Some(stamp) = stamp.and_then(|text| serde_json::from_slice::<Stamp>(&text).ok()) else {
            if system.names(at)?.is_empty() {
                return Ok(false);
            }
            let what = format!("`{at}` exists, but was not unpacked by apim-deploy (it has no `{STAMP}`)");
            let hint =
                format!("nothing there was touched; move it away (`mv {at} {at}.old`), then run again");
            return Err(Failure::new(what).hint(hint));
        };
        if stamp.sha256 == self.source.sha256() {
            return Ok(true);
        }
        let (found, wished) = (stamp.sha256.short(), self.source.sha256().short());
        let what = format!("`{at}` holds the archive {found}…, where {wished}… is wished");
        let hint = "archives are unpacked side by side, never over each other: use another folder, or move this one away";
        Err(Failure::new(what).hint(hint))
    }

    /// Removes what a killed agent left beside the destination.
    fn sweep(&self, system: &System, prefix: &str) -> Result<(), Failure> {
        let parent = self.destination.parent();
        for name in system.names(&parent)?.iter().filter(|name| name.starts_with(prefix)) {
            system.remove(&parent.join(name).map_err(|e| bad_path(&e))?, true)?;
        }
        Ok(())
    }

    /// Fills the new folder `beside`; returns the archive's local file, whose digest held, and what is to be told.
    fn fill(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        beside: &AbsPath,
    ) -> Result<(Option<PathBuf>, Option<String>), Failure> {
        let what = || self.what();
        let Unpacked { tree, names, file, note } = self.unpack(system, dialogue, beside)?;
        dialogue.progress("making it durable", tree.written(), tree.written());
        tree.finish(&names.links, &names.folders, names.top_mode)
            .map_err(|error| contents::UnpackError::from(error).failure(what()))?;
        self.prepare.iter().try_for_each(|prepare| self.prepare(system, dialogue, beside, prepare))?;
        let finished = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let stamp = serde_json::to_vec(&Stamp { sha256: self.source.sha256(), finished })
            .map_err(|error| Failure::from_error(what(), &error))?;
        let mode = Some(FileMode::new(0o644));
        let path = beside.join(STAMP).map_err(|e| bad_path(&e))?;
        system.write(&path, &Bytes::Memory(&stamp), Attributes { mode, ..Attributes::default() })?;
        Ok((file, note))
    }

    /// Returns what did not work, for people.
    fn what(&self) -> String {
        let (archive, at) = (self.source.sha256().short(), &self.destination);
        format!("the archive {archive}… could not be unpacked at `{at}`")
    }

    fn prepare(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        beside: &AbsPath,
        prepare: &Prepare,
    ) -> Result<(), Failure> {
        dialogue.progress(&prepare.title, 0, 0);
        let command = Invocation {
            directory: Some(beside.clone()),
            run_as: prepare.command.run_as.clone().or_else(|| self.owner.user.clone()),
            ..prepare.command.clone()
        };
        let output = system.run(&command.program())?;
        let failed = |why: &str| {
            let failure = command.failure(why, &output);
            let what = format!("{}: {}", prepare.title, failure.what);
            Failure { what, ..failure }.hint("nothing was put into place; run again when the cause is gone")
        };
        if !output.ended.is_success() {
            return Err(failed(&output.ended.to_string()));
        }
        if let Some(text) = &prepare.output_holds
            && !output.stdout.contains(text.as_str())
            && !output.stderr.contains(text.as_str())
        {
            return Err(failed(&format!("it ended with {}, but did not say `{text}`", output.ended)));
        }
        for (paths, wished) in [(&prepare.then_present, true), (&prepare.then_absent, false)] {
            for path in paths {
                let there = system.stat(&beside.join(path).map_err(|e| bad_path(&e))?)?.is_some();
                if there != wished {
                    let found = if there { "still there" } else { "not there" };
                    return Err(failed(&format!("it ended with {}, but `{path}` is {found}", output.ended)));
                }
            }
        }
        Ok(())
    }
}

/// Returns when the archive that is unpacked at the folder `at` was whole, in seconds since 1970; `None` when none of ours is.
pub(super) fn finished(system: &System, at: &AbsPath) -> Result<Option<u64>, Failure> {
    let stamp = system.read(&at.join(STAMP).map_err(|e| bad_path(&e))?, 64 * 1024)?;
    Ok(stamp.and_then(|text| serde_json::from_slice::<Stamp>(&text).ok()).map(|stamp| stamp.finished))
}

fn bad_path(error: &crate::value::ValueError) -> Failure {
    Failure::from_error("a path inside the archive's folder cannot be used", error)
}

impl Converge for Archive {
    fn check(&self, system: &System) -> Result<Option<Difference>, Failure> {
        if self.is_there(system)? {
            return Ok(None);
        }
        let mut items = vec![format!("unpack the archive {}…", self.source.sha256().short())];
        items.extend(self.prepare.iter().map(|prepare| prepare.title.clone()));
        Ok(Some(Difference::of(items)))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        let prefix = format!("{}.unpack-", self.destination.name());
        self.sweep(system, &prefix)?;
        let beside = self.destination.parent().join(&format!("{prefix}{:016x}", random()));
        let beside = beside.map_err(|e| bad_path(&e))?;
        let filled = self.fill(system, dialogue, &beside).and_then(|file| {
            if system.stat(&self.destination)?.is_some() {
                // Empty, as the check has seen; a folder that was filled since then stays, and this fails.
                system.remove(&self.destination, false)?;
            }
            system.rename_new(&beside, &self.destination)?;
            Ok(file)
        });
        let (file, note) = match filled {
            Ok(filled) => filled,
            Err(failure) => {
                // Swept by the next run if it cannot be removed now.
                system.remove(&beside, true).ok();
                return Err(failure);
            }
        };
        if let (Source::Pulled(_), Some(file)) = (&self.source, &file) {
            // It has served; a leftover is swept later.
            std::fs::remove_file(file).ok();
        }
        let mut done = difference.clone();
        done.changes.extend(note.map(Change::Text));
        Ok(Outcome::Changed(done))
    }
}

/// A number that nobody can foresee.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
