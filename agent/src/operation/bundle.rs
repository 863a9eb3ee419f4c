//! Files that one service reads, and that count together: all of them are written, a command accepts them or the former ones are put
//! back, and only then does the service reload them.
//!
//! A pending reload is recorded in the state folder before the first byte is written, so it survives a
//! crash of anything. Other bundles of the same service share that note.

use apim_protocol::operation::bundle::Bundle;
use apim_protocol::operation::directory::Directory;
use apim_protocol::operation::file::File;
use apim_protocol::outcome::{Difference, Failure, Outcome};
use apim_protocol::value::{AbsPath, Owner, Sha256};
use serde::{Deserialize, Serialize};

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::operation::{command, file};
use crate::system::{Attributes, Bytes, Ended, Ids, System};

/// What is known of a reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Note {
    /// Whether files were written that it has not loaded.
    is_due: bool,
}

/// A file as it stood before: enough to put it back.
struct Former {
    path: AbsPath,
    found: Option<(Vec<u8>, Attributes)>,
}

/// Files larger than this are no configuration.
const LARGEST: u64 = 16 * 1024 * 1024;

fn note(bundle: &Bundle, system: &System) -> Result<Note, Failure> {
    Ok(system.state().read(&note_file(bundle))?.unwrap_or_default())
}

fn keep(bundle: &Bundle, system: &System, note: Note) -> Result<(), Failure> {
    Ok(system.state().write(&note_file(bundle), &note)?)
}

fn note_file(bundle: &Bundle) -> String {
    format!("readers/{}.json", bundle.reader)
}

/// Returns the files that differ, with how.
fn differing<'b>(bundle: &'b Bundle, system: &System) -> Result<Vec<(&'b File, Difference)>, Failure> {
    let mut all = Vec::new();
    for file in &bundle.files {
        all.extend(file.check(system)?.difference().map(|difference| (file, difference)));
    }
    Ok(all)
}

fn former(system: &System, file: &File) -> Result<Former, Failure> {
    let found = match (system.stat(&file.path)?, system.read(&file.path, LARGEST)?) {
        (Some(stat), Some(bytes)) => {
            let ids = if system.is_privileged() {
                Ids { uid: Some(stat.uid), gid: Some(stat.gid) }
            } else {
                Ids::default()
            };
            Some((bytes, Attributes { mode: Some(stat.mode), ids }))
        }
        _ => None,
    };
    Ok(Former { path: file.path.clone(), found })
}

fn write_files(
    system: &System,
    dialogue: &mut dyn Dialogue,
    differing: &[(&File, Difference)],
) -> Result<Difference, Failure> {
    let mut all = Difference::default();
    for (file, difference) in differing {
        let folder = Directory { path: file.path.parent(), mode: None, owner: Owner::default() };
        if let Some(missing) = folder.check(system)?.difference() {
            folder.apply(system, dialogue, &missing)?;
        }
        if let Outcome::Changed(done) = file.apply(system, dialogue, difference)? {
            add(&mut all, &file.path, done);
        }
    }
    Ok(all)
}

fn require_accepted(bundle: &Bundle, system: &System) -> Result<(), Failure> {
    let Some(verify) = &bundle.verify else { return Ok(()) };
    let output = system.run(&command::program(verify))?;
    match output.ended {
        Ended::Exited(0) => Ok(()),
        _ => Err(command::failure(verify, &output.ended.to_string(), &output)),
    }
}

fn put_back(system: &System, formers: &[Former]) -> Result<(), Failure> {
    for former in formers {
        match &former.found {
            Some((bytes, attributes)) => {
                let digest = Sha256::of(bytes);
                system.state().note_writing(&former.path, digest)?;
                system.write(&former.path, &Bytes::Memory(bytes), *attributes)?;
                system.state().note_written(&former.path, digest)?;
            }
            None => system.remove(&former.path, false)?,
        }
    }
    Ok(())
}

/// Adds what differs at `path` to the difference of all files.
fn add(all: &mut Difference, path: &AbsPath, one: Difference) {
    all.changes.extend(one.statements().into_iter().map(|item| format!("{path}: {item}").into()));
    if let Some(diff) = one.diff {
        let text = all.diff.get_or_insert_with(String::new);
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("{path}\n{diff}"));
    }
}

impl Converge for Bundle {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let mut all = Difference::default();
        for (file, difference) in differing(self, system)? {
            add(&mut all, &file.path, difference);
        }
        if all.changes.is_empty() && note(self, system)?.is_due {
            all.changes.push(format!("{} has not read its files since they changed", self.reader).into());
        }
        Ok(if all.changes.is_empty() { Finding::UpToDate } else { Finding::Differs(all) })
    }

    fn preview(&self, system: &System, dialogue: &mut dyn Dialogue, difference: Difference) -> Outcome {
        let differing = differing(self, system).unwrap_or_default();
        if differing.is_empty() {
            return Outcome::WouldChange(difference);
        }
        let mut all = Difference::default();
        for (file, one) in differing {
            add(&mut all, &file.path, file::explain(file, system, dialogue, one));
        }
        Outcome::WouldChange(all)
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        _: &Difference,
    ) -> Result<Outcome, Failure> {
        let differing = differing(self, system)?;
        let before = note(self, system)?;
        let formers: Vec<Former> =
            differing.iter().map(|(file, _)| former(system, file)).collect::<Result<_, _>>()?;
        keep(self, system, Note { is_due: true })?;
        let written = write_files(system, dialogue, &differing);
        let mut difference = match written.and_then(|done| require_accepted(self, system).map(|()| done)) {
            Ok(difference) => difference,
            Err(mut failure) => {
                put_back(system, &formers)?;
                keep(self, system, before)?;
                if !formers.is_empty() {
                    failure.causes.push(format!(
                        "the former files were put back, and {} was not reloaded",
                        self.reader
                    ));
                }
                return Err(failure);
            }
        };
        dialogue.progress(&format!("running `{}`", self.tell.words()), 0, 0);
        let output = system.run(&command::program(&self.tell))?;
        if !output.ended.is_success() {
            return Err(command::failure(&self.tell, &output.ended.to_string(), &output));
        }
        keep(self, system, Note { is_due: false })?;
        difference.changes.push(format!("{} read its files", self.reader).into());
        Ok(Outcome::Changed(difference))
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::operation::command::Invocation;
    use apim_protocol::operation::file::Show;
    use apim_protocol::operation::{Mode, Operation};
    use apim_protocol::value::FileMode;
    use apim_protocol::value::UnitName;

    use super::*;
    use crate::operation::testing::Bench;

    fn shell(bench: &Bench, script: &str) -> Invocation {
        let directory = Some(AbsPath::parse("/").unwrap());
        let script = format!("cd {} && {script}", bench.real("/").display());
        Invocation { argv: vec!["sh".into(), "-c".into(), script], directory, ..Invocation::default() }
    }

    fn bundle(bench: &Bench, texts: &[(&str, &str)]) -> Bundle {
        let file = |(path, text): &(&str, &str)| File {
            path: AbsPath::parse(path).unwrap(),
            content: bench.content(text.as_bytes()),
            mode: Some(FileMode::new(0o640)),
            owner: Owner::default(),
            show: Show::Text,
        };
        Bundle {
            reader: UnitName::parse("reader").unwrap(),
            files: texts.iter().map(file).collect(),
            verify: Some(shell(bench, "! grep -r bad etc")),
            tell: shell(bench, "echo told >> told"),
        }
    }

    fn told(bench: &Bench) -> usize {
        std::fs::read_to_string(bench.real("/told")).unwrap_or_default().lines().count()
    }

    #[test]
    fn files_are_written_together_and_reloaded_once() {
        let bench = Bench::new();
        bench.assert_converges(&Operation::Bundle(bundle(
            &bench,
            &[("/etc/r/a", "1\n"), ("/etc/r/deep/b", "2\n")],
        )));
        assert_eq!(
            (bench.text("/etc/r/a").as_str(), bench.mode("/etc/r/deep/b"), told(&bench)),
            ("1\n", 0o640, 1)
        );
        let Outcome::Changed(found) = bench.assert_converges(&Operation::Bundle(bundle(
            &bench,
            &[("/etc/r/a", "3\n"), ("/etc/r/deep/b", "2\n")],
        ))) else {
            panic!()
        };
        assert_eq!(found.diff.as_deref(), Some("/etc/r/a\n@@ -1,1 +1,1 @@\n-1\n+3"));
        assert_eq!(told(&bench), 2);
    }

    #[test]
    fn refused_files_are_restored_without_reload() {
        let bench = Bench::new();
        bench.assert_converges(&Operation::Bundle(bundle(&bench, &[("/etc/r/a", "1\n")])));
        let refused = Operation::Bundle(bundle(&bench, &[("/etc/r/a", "bad\n"), ("/etc/r/new", "2\n")]));
        let Outcome::Failed(failure) = bench.run(&refused, Mode::Apply) else { panic!() };
        assert!(failure.causes.iter().any(|cause| cause.contains("put back")), "{failure:?}");
        assert_eq!((bench.text("/etc/r/a").as_str(), told(&bench)), ("1\n", 1));
        assert!(!bench.real("/etc/r/new").exists());
        let former = Operation::Bundle(bundle(&bench, &[("/etc/r/a", "1\n")]));
        assert_eq!(bench.run(&former, Mode::Check), Outcome::Ok, "as it was, nothing due");
        let path = AbsPath::parse("/etc/r/a").unwrap();
        assert_eq!(crate::operation::support::edited::put_right(&bench.system, &path).unwrap(), None);
    }

    #[test]
    fn pending_reload_is_done_next_time() {
        let bench = Bench::new();
        let mut desired = bundle(&bench, &[("/etc/r/a", "1\n")]);
        desired.tell = shell(&bench, "exit 3");
        assert!(bench.run(&Operation::Bundle(desired.clone()), Mode::Apply).is_failure());
        assert_eq!(bench.text("/etc/r/a"), "1\n");
        // Another bundle of the same reader does it as well.
        let mut other = bundle(&bench, &[("/etc/r/b", "2\n")]);
        other.tell = shell(&bench, "exit 3");
        assert!(bench.run(&Operation::Bundle(other), Mode::Apply).is_failure());
        bench.assert_converges(&Operation::Bundle(bundle(&bench, &[("/etc/r/a", "1\n")])));
        assert_eq!(told(&bench), 1);
    }
}
