//! Old unpacked archives in a folder go, and the newest stay.
//!
//! Only what `archive` unpacked is ever removed: a folder without its stamp is not managed.

use std::collections::BTreeSet;
use std::time::UNIX_EPOCH;

use apim_protocol::operation::prune::Prune;
use apim_protocol::outcome::{Difference, Failure, Outcome};
use apim_protocol::value::AbsPath;

use super::archive;
use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Kind, System};

/// The one in use and the one before it always stay.
const LEAST: usize = 2;
/// How the name of a folder ends that is on its way out; the next unpacking at its place sweeps it, too.
const ON_ITS_WAY: &str = ".unpack-removed";

/// Returns the names of the folders that must go.
fn surplus(prune: &Prune, system: &System) -> Result<Vec<String>, Failure> {
    let Some(target) = system.link_target(&prune.in_use)? else { return Ok(Vec::new()) };
    let mut stay: BTreeSet<String> = prune.spare.iter().cloned().collect();
    stay.extend(target.file_name().map(|name| name.to_string_lossy().into_owned()));
    let (mut gone, mut rest, mut staying) = (Vec::new(), Vec::new(), 0);
    for name in system.names(&prune.folder)? {
        let path = at(prune, &name)?;
        if !system.stat(&path)?.is_some_and(|found| found.kind == Kind::Directory) {
            continue;
        }
        if name.ends_with(ON_ITS_WAY) {
            gone.push(name);
            continue;
        }
        let Some(finished) = archive::stamp::finished(system, &path)? else { continue };
        if stay.contains(&name) {
            staying += 1;
        } else {
            rest.push((finished.max(used_at(prune, system, &path)?), name));
        }
    }
    rest.sort();
    let keep = usize::try_from(prune.keep).unwrap_or(usize::MAX).max(LEAST);
    // The one used last besides those that stay anyway is the one to go back to.
    let others = keep.saturating_sub(staying).max(1);
    rest.truncate(rest.len().saturating_sub(others));
    gone.extend(rest.into_iter().map(|(_, name)| name));
    Ok(gone)
}

/// Returns when the archive at `path` was last in use, in seconds since 1970.
fn used_at(prune: &Prune, system: &System, path: &AbsPath) -> Result<u64, Failure> {
    let Some(used) = &prune.used else { return Ok(0) };
    let path = path.join(used).map_err(|error| bad_name(used, &error))?;
    let written = system.open(&path)?.and_then(|file| file.metadata().ok()?.modified().ok());
    Ok(written.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs()))
}

fn at(prune: &Prune, name: &str) -> Result<AbsPath, Failure> {
    prune.folder.join(name).map_err(|error| bad_name(name, &error))
}

fn bad_name(name: &str, error: &apim_protocol::value::ValueError) -> Failure {
    Failure::from_error(format!("`{name}` cannot be looked at"), error)
}

impl Converge for Prune {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let items: Vec<String> =
            surplus(self, system)?.into_iter().map(|name| format!("remove {}/{name}", self.folder)).collect();
        Ok(Finding::of(items))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        for name in surplus(self, system)? {
            if dialogue.is_cancelled() {
                return Err(Failure::new(format!(
                    "`{}` was not tidied up: the run was cancelled",
                    self.folder
                )));
            }
            dialogue.progress(&format!("removing {name}"), 0, 0);
            remove(system, &self.folder, &name)?;
        }
        Ok(Outcome::Changed(difference.clone()))
    }
}

/// Says whether a folder of that name is being unpacked or removed, and can be deleted once no agent works on it.
pub(super) fn is_passing(name: &str) -> bool {
    name.contains(".unpack-")
}

/// Removes what was unpacked at `name` in `folder`.
pub(super) fn remove(system: &System, folder: &AbsPath, name: &str) -> Result<(), Failure> {
    let at = |name: &str| folder.join(name).map_err(|error| bad_name(name, &error));
    let mut path = at(name)?;
    if !is_passing(name) {
        // A folder that is half removed must not be taken for one that is whole.
        let out = at(&format!("{name}{ON_ITS_WAY}"))?;
        system.remove(&out, true)?;
        system.rename_new(&path, &out)?;
        path = out;
    }
    Ok(system.remove(&path, true)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::{Duration, SystemTime};

    use apim_protocol::operation::{Mode, Operation};
    use apim_protocol::value::Sha256;

    use super::*;
    use crate::operation::testing::Bench;

    fn desired(keep: u32) -> Operation {
        Operation::Prune(Prune {
            folder: AbsPath::parse("/opt/releases").unwrap(),
            keep,
            spare: vec!["desired".into()],
            in_use: AbsPath::parse("/opt/current").unwrap(),
            used: Some("log".into()),
        })
    }

    fn release(bench: &Bench, name: &str, finished: u64) {
        let stamp = format!("{{\"sha256\":\"{}\",\"finished\":{finished}}}", Sha256::of(b"zip"));
        bench.write(&format!("/opt/releases/{name}/.apim-deploy.json"), &stamp);
        bench.write(&format!("/opt/releases/{name}/deep/file"), "content");
    }

    fn left(bench: &Bench) -> Vec<String> {
        let found = fs::read_dir(bench.real("/opt/releases")).unwrap();
        let mut names: Vec<String> =
            found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn bench() -> Bench {
        let bench = Bench::new();
        for (name, finished) in [("r1", 100), ("r2", 200), ("r3", 300), ("r4", 400)] {
            release(&bench, name, finished);
        }
        symlink("/opt/releases/r3", bench.real_itself("/opt/current")).unwrap();
        bench
    }

    #[test]
    fn the_newest_stay_with_the_one_in_use() {
        let bench = bench();
        let Outcome::Changed(difference) = bench.assert_converges(&desired(3)) else { panic!() };
        assert_eq!(difference.statements(), ["remove /opt/releases/r1"]);
        assert_eq!(left(&bench), ["r2", "r3", "r4"]);
    }

    #[test]
    fn the_one_in_use_and_the_one_used_before_it_stay_however_old_and_few() {
        let bench = bench();
        let log = bench.real("/opt/releases/r1").join("log");
        let file = fs::File::create(log).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1000)).unwrap();
        bench.assert_converges(&desired(0));
        assert_eq!(left(&bench), ["r1", "r3"], "r1 ran last before r3");
    }

    #[test]
    fn desired_and_foreign_folders_stay() {
        let bench = bench();
        release(&bench, "desired", 1);
        bench.write("/opt/releases/mine/precious", "x");
        bench.write("/opt/releases/a-file", "x");
        symlink("/opt/releases/r1", bench.real_itself("/opt/releases/link")).unwrap();
        bench.assert_converges(&desired(2));
        assert_eq!(left(&bench), ["a-file", "desired", "link", "mine", "r3", "r4"]);
    }

    #[test]
    fn nothing_is_removed_without_the_link_in_use() {
        let bench = bench();
        fs::remove_file(bench.real_itself("/opt/current")).unwrap();
        assert_eq!(bench.run(&desired(2), Mode::Apply), Outcome::Ok);
    }

    #[test]
    fn a_removal_that_was_cut_off_is_ended() {
        let bench = bench();
        bench.write("/opt/releases/r0.unpack-removed/deep/file", "left");
        bench.assert_converges(&desired(4));
        assert_eq!(left(&bench), ["r1", "r2", "r3", "r4"]);
    }
}
