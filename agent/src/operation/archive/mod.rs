//! An archive (zip or tar.gz) unpacked at a folder, all or nothing.
//!
//! It is unpacked next to the destination while it arrives (of a zip, only what former releases there do not have), its `prepare` commands run there, a stamp that names the archive's digest is
//! written into it, and then it is renamed into place: a folder with our stamp is whole, and its commands ran exactly once.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use apim_protocol::operation::archive::{Archive, Prepare, Source};
use apim_protocol::operation::command::Invocation;
use apim_protocol::outcome::{Change, Difference, Failure, Outcome};
use apim_protocol::value::{AbsPath, FileMode};
use contents::Unpacked;
use stamp::{STAMP, Stamp, bad_path};

use crate::operation::command;
use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Attributes, Bytes, Kind, System};

mod arriving;
mod bytes;
mod contents;
mod renew;
pub(super) mod stamp;
#[cfg(test)]
mod tests;
mod unpack;
mod untar;
mod unzip;

/// Says whether the destination is there, whole, and from this archive.
fn is_there(archive: &Archive, system: &System) -> Result<bool, Failure> {
    let at = &archive.destination;
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
        let hint = format!("nothing there was touched; move it away (`mv {at} {at}.old`), then run again");
        return Err(Failure::new(what).hint(hint));
    };
    if stamp.sha256 == archive.source.sha256() {
        return Ok(true);
    }
    let (found, desired) = (stamp.sha256.short(), archive.source.sha256().short());
    let what = format!("`{at}` contains the archive {found}…, expected {desired}…");
    let hint = "archives are unpacked side by side, never over each other: use another folder, or move this one away";
    Err(Failure::new(what).hint(hint))
}

/// Removes what a killed agent left next to the destination.
fn sweep(archive: &Archive, system: &System, prefix: &str) -> Result<(), Failure> {
    let parent = archive.destination.parent();
    for name in system.names(&parent)?.iter().filter(|name| name.starts_with(prefix)) {
        system.remove(&parent.join(name).map_err(|e| bad_path(&e))?, true)?;
    }
    Ok(())
}

/// Fills the new folder `beside`; returns the archive's local file, verified, and a note for people.
fn fill(
    archive: &Archive,
    system: &System,
    dialogue: &mut dyn Dialogue,
    beside: &AbsPath,
) -> Result<(Option<PathBuf>, Option<String>), Failure> {
    let what = || contents::what(archive);
    let Unpacked { tree, names, file, note } = unpack::unpack(archive, system, dialogue, beside)?;
    dialogue.progress("making it durable", tree.written(), tree.written());
    tree.finish(&names.links, &names.folders, names.top_mode)
        .map_err(|error| contents::UnpackError::from(error).failure(what()))?;
    archive.prepare.iter().try_for_each(|prepare| run_prepare(archive, system, dialogue, beside, prepare))?;
    let finished = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let stamp = serde_json::to_vec(&Stamp { sha256: archive.source.sha256(), finished })
        .map_err(|error| Failure::from_error(what(), &error))?;
    let mode = Some(FileMode::new(0o644));
    let path = beside.join(STAMP).map_err(|e| bad_path(&e))?;
    system.write(&path, &Bytes::Memory(&stamp), Attributes { mode, ..Attributes::default() })?;
    Ok((file, note))
}

fn run_prepare(
    archive: &Archive,
    system: &System,
    dialogue: &mut dyn Dialogue,
    beside: &AbsPath,
    prepare: &Prepare,
) -> Result<(), Failure> {
    dialogue.progress(&prepare.title, 0, 0);
    let command = Invocation {
        directory: Some(beside.clone()),
        run_as: prepare.command.run_as.clone().or_else(|| archive.owner.user.clone()),
        ..prepare.command.clone()
    };
    let output = system.run(&command::program(&command))?;
    let failed = |why: &str| {
        let failure = command::failure(&command, why, &output);
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
    for (paths, desired) in [(&prepare.then_present, true), (&prepare.then_absent, false)] {
        for path in paths {
            let there = system.stat(&beside.join(path).map_err(|e| bad_path(&e))?)?.is_some();
            if there != desired {
                let found = if there { "still there" } else { "not there" };
                return Err(failed(&format!("it ended with {}, but `{path}` is {found}", output.ended)));
            }
        }
    }
    Ok(())
}

impl Converge for Archive {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        if is_there(self, system)? {
            return Ok(Finding::UpToDate);
        }
        let mut items = vec![format!("unpack the archive {}…", self.source.sha256().short())];
        items.extend(self.prepare.iter().map(|prepare| prepare.title.clone()));
        Ok(Finding::of(items))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        let prefix = format!("{}.unpack-", self.destination.name());
        sweep(self, system, &prefix)?;
        let beside = self.destination.parent().join(&format!("{prefix}{:016x}", random()));
        let beside = beside.map_err(|e| bad_path(&e))?;
        let filled = fill(self, system, dialogue, &beside).and_then(|file| {
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

/// An unpredictable number.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
