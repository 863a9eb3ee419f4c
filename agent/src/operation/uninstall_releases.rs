//! What `archive` unpacked in a folder is removed for good, with the managed files around it; folders are removed once they are empty.
//!
//! A folder without the stamp is not managed and stays, as does everything that is not named here.

use std::collections::BTreeSet;

use apim_protocol::operation::uninstall_releases::UninstallReleases;
use apim_protocol::outcome::{Difference, Failure, Outcome};
use apim_protocol::value::AbsPath;

use super::{archive, prune};
use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::system::{Kind, System};

/// What is to go.
#[derive(Debug, Default)]
struct Leaving {
    /// Names in the folder.
    unpacked: Vec<String>,
    files: Vec<AbsPath>,
    folders: Vec<AbsPath>,
    /// What stays in the way of an empty folder.
    stays: Vec<AbsPath>,
}

fn find_leaving(releases: &UninstallReleases, system: &System) -> Result<Leaving, Failure> {
    let mut leaving = Leaving::default();
    let mut gone = BTreeSet::new();
    for name in system.names(&releases.folder)? {
        let Ok(path) = releases.folder.join(&name) else { continue };
        let is_folder = system.stat(&path)?.is_some_and(|found| found.kind == Kind::Directory);
        if is_folder && (prune::is_passing(&name) || archive::stamp::finished(system, &path)?.is_some()) {
            leaving.unpacked.push(name);
            gone.insert(path);
        }
    }
    for path in &releases.ours {
        let goes = match system.stat(path)?.map(|found| found.kind) {
            Some(Kind::File) => true,
            Some(Kind::Link) => {
                system.link_target(path)?.is_some_and(|target| target.starts_with(releases.folder.as_str()))
            }
            _ => false,
        };
        if goes {
            leaving.files.push(path.clone());
            gone.insert(path.clone());
        }
    }
    for folder in &releases.emptied {
        if system.stat(folder)?.is_none_or(|found| found.kind != Kind::Directory) {
            continue;
        }
        let mut is_empty = true;
        for name in system.names(folder)? {
            let path = folder.join(&name).ok().filter(|path| gone.contains(path));
            if path.is_none() {
                is_empty = false;
                leaving.stays.extend(folder.join(&name));
            }
        }
        if is_empty {
            leaving.folders.push(folder.clone());
            gone.insert(folder.clone());
        }
    }
    Ok(leaving)
}

impl Converge for UninstallReleases {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let leaving = find_leaving(self, system)?;
        let unpacked = leaving.unpacked.iter().map(|name| format!("remove {}/{name}", self.folder));
        let others = leaving.files.iter().chain(&leaving.folders).map(|path| format!("remove {path}"));
        let mut items: Vec<String> = unpacked.chain(others).collect();
        if items.is_empty() {
            return Ok(Finding::UpToDate);
        }
        items.extend(leaving.stays.iter().map(|path| format!("keep {path}, which is not managed")));
        Ok(Finding::of(items))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        let leaving = find_leaving(self, system)?;
        for path in &leaving.files {
            system.remove(path, false)?;
        }
        for name in &leaving.unpacked {
            if dialogue.is_cancelled() {
                let what = format!("`{}` was not cleared: the run was cancelled", self.folder);
                return Err(Failure::new(what).hint("run again to go on"));
            }
            dialogue.progress(&format!("removing {name}"), 0, 0);
            prune::remove(system, &self.folder, name)?;
        }
        for folder in &leaving.folders {
            system.remove(folder, false)?;
        }
        Ok(Outcome::Changed(difference.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use apim_protocol::operation::{Mode, Operation};
    use apim_protocol::value::Sha256;

    use super::*;
    use crate::operation::testing::Bench;

    fn path(text: &str) -> AbsPath {
        AbsPath::parse(text).unwrap()
    }

    fn desired() -> Operation {
        Operation::UninstallReleases(UninstallReleases {
            folder: path("/opt/app/releases"),
            ours: ["/opt/app/current", "/opt/app/secrets", "/opt/app/never"].map(path).to_vec(),
            emptied: ["/opt/app/releases", "/opt/app", "/opt"].map(path).to_vec(),
        })
    }

    fn bench() -> Bench {
        let bench = Bench::new();
        let stamp = format!("{{\"sha256\":\"{}\",\"finished\":1}}", Sha256::of(b"zip"));
        for name in ["r1", "r2"] {
            bench.write(&format!("/opt/app/releases/{name}/.apim-deploy.json"), &stamp);
            bench.write(&format!("/opt/app/releases/{name}/deep/file"), "content");
        }
        bench.write("/opt/app/releases/r0.unpack-removed/left", "x");
        bench.write("/opt/app/secrets", "x");
        symlink("/opt/app/releases/r2", bench.real_itself("/opt/app/current")).unwrap();
        bench
    }

    #[test]
    fn managed_files_and_empty_folders_are_removed() {
        let bench = bench();
        bench.assert_converges(&desired());
        assert!(!bench.real("/opt").exists());
    }

    #[test]
    fn what_others_made_stays_and_is_named() {
        let bench = bench();
        bench.write("/opt/app/releases/mine/precious", "x");
        bench.write("/opt/other/file", "x");
        std::fs::remove_file(bench.real_itself("/opt/app/current")).unwrap();
        symlink("/opt/other", bench.real_itself("/opt/app/current")).unwrap();
        let Outcome::Changed(done) = bench.run(&desired(), Mode::Apply) else { panic!() };
        for kept in ["/opt/app/releases/mine", "/opt/app/current", "/opt/other"] {
            assert!(done.statements().contains(&format!("keep {kept}, which is not managed")), "{done:?}");
            assert!(bench.real(kept).exists());
        }
        assert!(!bench.real("/opt/app/secrets").exists() && !bench.real("/opt/app/releases/r1").exists());
        assert_eq!(bench.run(&desired(), Mode::Check), Outcome::Ok);
    }

    #[test]
    fn where_nothing_is_there_nothing_is_to_do() {
        assert_eq!(Bench::new().run(&desired(), Mode::Apply), Outcome::Ok);
    }
}
