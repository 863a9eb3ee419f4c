//! The release that a service runs from: one of several folders side by side, of which a link names the one in use.
//!
//! The link is turned while the service is stopped, right before it is started from another folder, and after what it keeps in its
//! folder was copied there. So the link also marks that this was done: an agent that dies before it starts over.

use apim_protocol::operation::unit::Release;
use apim_protocol::outcome::{Failure, ReleaseChange};
use apim_protocol::value::{AbsPath, UnitName, ValueError, is_release_name};

use super::releases::Releases;
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Allowance, Attributes, Ids, Kind, System};

/// The most files, folders and links that are carried over.
const MAX_ENTRIES: u64 = 1_000_000;

/// Returns the release that the link names; `None` without one, or when the link leads somewhere else.
pub(crate) fn used(release: &Release, system: &System) -> Result<Option<AbsPath>, Failure> {
    in_use(system, &release.link, &release.folder.parent())
}

/// Returns how the service moves, if another release is in use.
pub(super) fn moved(release: &Release, system: &System) -> Result<Option<ReleaseChange>, Failure> {
    let from = used(release, system)?.filter(|from| *from != release.folder);
    Ok(from.map(|from| ReleaseChange { from: from.name().to_owned(), to: release.folder.name().to_owned() }))
}

/// Copies what the service keeps from the release in use to this one, unless this one was up before, and was not left for want of more: then it has its own.
/// Returns what was copied. The service is down meanwhile; an end of the run does not cut this short.
pub(super) fn carry_over(
    release: &Release,
    system: &System,
    unit: &UnitName,
    dialogue: &mut dyn Dialogue,
) -> Result<Vec<String>, Failure> {
    let Some(from) = used(release, system)?.filter(|from| *from != release.folder) else {
        return Ok(Vec::new());
    };
    if Releases::load(system, unit)?.has_its_own(&release.folder) {
        return Ok(Vec::new());
    }
    let mut allowance = Allowance { bytes: release.max_bytes, entries: MAX_ENTRIES };
    let mut copied = Vec::new();
    for kept in &release.keeps {
        for relative in expand(system, &from, kept)? {
            dialogue.progress(&format!("carrying over {relative}"), 0, 0);
            let failed = |failure: Failure| {
                let what =
                    format!("`{relative}` could not be carried over from {}: {}", from.name(), failure.what);
                Failure { what, ..failure }
            };
            let to = release.folder.join(&relative).map_err(|error| failed(bad_path(&error)))?;
            make_parents(system, &from, &release.folder, &relative).map_err(failed)?;
            let source = from.join(&relative).map_err(|error| failed(bad_path(&error)))?;
            system.copy(&source, &to, &mut allowance).map_err(|error| failed(error.into()))?;
            copied.push(relative);
        }
    }
    Ok(copied)
}

/// Returns the folder in `folder` that `link` names.
pub(crate) fn in_use(system: &System, link: &AbsPath, folder: &AbsPath) -> Result<Option<AbsPath>, Failure> {
    let target = system.link_target(link).map_err(|error| {
        Failure::from(error)
            .hint("only a link is replaced by a link; move what is there away, then run again")
    })?;
    let target = target.and_then(|target| AbsPath::parse(target.to_str()?).ok());
    Ok(target.filter(|target| target.parent() == *folder && is_release_name(target.name())))
}

/// Returns the paths below `folder` that `kept` means and that are there.
fn expand(system: &System, folder: &AbsPath, kept: &str) -> Result<Vec<String>, Failure> {
    let path = folder.join(kept.trim_end_matches('*')).map_err(|error| bad_path(&error))?;
    let Some(beginning) = kept.strip_suffix('*') else {
        let is_there = system.stat(&path)?.is_some_and(|found| found.kind != Kind::Other);
        return Ok(if is_there { vec![kept.to_owned()] } else { Vec::new() });
    };
    let (above, beginning) = beginning.rsplit_once('/').unwrap_or(("", beginning));
    let parent = folder.join(above).map_err(|error| bad_path(&error))?;
    let names = system.names(&parent)?.into_iter().filter(|name| name.starts_with(beginning));
    Ok(names.map(|name| format!("{above}/{name}").trim_start_matches('/').to_owned()).collect())
}

/// Makes the folders above `relative` in the new release, with the owners and modes that they have in the old one.
fn make_parents(system: &System, old: &AbsPath, new: &AbsPath, relative: &str) -> Result<(), Failure> {
    for (at, _) in relative.match_indices('/') {
        let above = relative.get(..at).unwrap_or_default();
        let to = new.join(above).map_err(|error| bad_path(&error))?;
        if system.stat(&to)?.is_some() {
            continue;
        }
        let from = old.join(above).map_err(|error| bad_path(&error))?;
        let Some(found) = system.stat(&from)? else { continue };
        let ids = Ids { uid: Some(found.uid), gid: Some(found.gid) };
        system.make_directory(&to, Attributes { mode: Some(found.mode), ids })?;
    }
    Ok(())
}

fn bad_path(error: &ValueError) -> Failure {
    Failure::from_error("a path inside a release cannot be used", error)
}
