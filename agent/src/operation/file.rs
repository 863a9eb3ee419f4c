//! A regular file with given bytes, written atomically.

use apim_protocol::operation::file::{File, Show};
use apim_protocol::outcome::{Change, Difference, Failure, Outcome};
use apim_protocol::value::{FileMode, Sha256};

use crate::operation::converge::{Converge, Finding};
use crate::operation::support::dialogue::Dialogue;
use crate::operation::support::diff::{Shown, diff};
use crate::operation::support::{attributes, edited};
use crate::system::{Bytes, Kind, Stat, System};

/// Texts up to this size are shown as a diff.
const DIFF_LIMIT: u64 = 256 * 1024;
/// No text: what it says is not known.
const UNJUDGED: &[u8] = &[0];

/// Returns the existing regular file, and whether its content is up to date.
fn look(file: &File, system: &System) -> Result<Option<(Stat, bool)>, Failure> {
    let Some(found) = system.stat(&file.path)? else { return Ok(None) };
    if found.kind != Kind::File {
        let what = format!("`{}` is {}, expected a regular file", file.path, found.kind.words());
        return Err(Failure::new(what).hint("move it away if it is not needed, then run again"));
    }
    let same = found.size == file.content.size
        && system.digest(&file.path)?.is_some_and(|d| d == file.content.sha256);
    Ok(Some((found, same)))
}

/// Records what the present text says.
fn note_text(file: &File, system: &System) -> Result<(), Failure> {
    if file.content.size > DIFF_LIMIT {
        return Ok(());
    }
    let text = system.read(&file.path, DIFF_LIMIT)?.unwrap_or_default();
    if Sha256::of(&text) == file.content.sha256 {
        edited::note_text(system, &file.path, &text)?;
    }
    Ok(())
}

/// Returns the present text, when a diff with it may and can be shown.
fn shown_text(file: &File, system: &System) -> Option<String> {
    if file.show == Show::Nothing || file.content.size > DIFF_LIMIT {
        return None;
    }
    String::from_utf8(system.read(&file.path, DIFF_LIMIT).ok()??).ok()
}

fn text_diff(file: &File, old: Option<&str>, new: &std::path::Path) -> Option<String> {
    let new = String::from_utf8(std::fs::read(new).ok()?).ok()?;
    match &file.show {
        Show::Nothing => None,
        Show::Text => diff(old?, &new, Shown::All),
        Show::Masked(secrets) => diff(old?, &new, Shown::But(secrets)),
    }
}

/// Adds the diff of the text, which may need the new content.
pub(super) fn explain(
    file: &File,
    system: &System,
    dialogue: &mut dyn Dialogue,
    mut difference: Difference,
) -> Difference {
    if matches!(look(file, system), Ok(Some((_, false))))
        && let Some(old) = shown_text(file, system)
        && let Ok(new) = dialogue.content(&file.content)
    {
        difference.diff = text_diff(file, Some(&old), &new);
    }
    difference
}

impl Converge for File {
    fn check(&self, system: &System) -> Result<Finding, Failure> {
        let mut changes: Vec<Change> = Vec::new();
        match look(self, system)? {
            None => {
                let mode = self.mode.unwrap_or(FileMode::new(0o644));
                changes.push(format!("new file of {} bytes, mode {mode}", self.content.size).into());
            }
            Some((found, same)) => {
                if !same {
                    changes.push(Change::Content { from: found.size, to: self.content.size });
                }
                let attributes = attributes::differences(system, &found, self.mode, &self.owner)?;
                changes.extend(attributes.into_iter().map(Change::Text));
            }
        }
        Ok(Finding::of(changes))
    }

    fn preview(&self, system: &System, dialogue: &mut dyn Dialogue, difference: Difference) -> Outcome {
        Outcome::WouldChange(explain(self, system, dialogue, difference))
    }

    fn apply(
        &self,
        system: &System,
        dialogue: &mut dyn Dialogue,
        difference: &Difference,
    ) -> Result<Outcome, Failure> {
        let desired = attributes::desired(system, self.mode, &self.owner)?;
        let mut difference = difference.clone();
        let state = system.state();
        if matches!(look(self, system)?, Some((_, true))) {
            system.set_attributes(&self.path, desired)?;
        } else {
            let new = dialogue.content(&self.content)?;
            if let Some(found) = system.digest(&self.path)?
                && state.is_foreign_edit(&self.path, found)?
            {
                difference.changes.push("modified outside apim-deploy".into());
            }
            let says_otherwise = edited::says_otherwise(system, &self.path)?;
            if says_otherwise {
                // Whatever comes in between, it is known.
                edited::note_put_right(system, &self.path)?;
            }
            edited::note_text(system, &self.path, UNJUDGED)?;
            difference.diff = text_diff(self, shown_text(self, system).as_deref(), &new);
            state.note_writing(&self.path, self.content.sha256)?;
            system.write(&self.path, &Bytes::File(&new), desired)?;
            if says_otherwise {
                edited::note_put_right(system, &self.path)?;
            }
            note_text(self, system)?;
        }
        state.note_written(&self.path, self.content.sha256)?;
        Ok(Outcome::Changed(difference))
    }
}

#[cfg(test)]
mod tests {
    use apim_protocol::value::AbsPath;
    use apim_protocol::value::Owner;
    use apim_protocol::value::Secret;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use apim_protocol::operation::{Mode, Operation};

    use super::*;
    use crate::operation::testing::Bench;

    fn desired(bench: &Bench, text: &str, mode: Option<u32>, show: Show) -> Operation {
        let (path, content) = (AbsPath::parse("/etc/x.toml").unwrap(), bench.content(text.as_bytes()));
        Operation::File(File { path, content, mode: mode.map(FileMode::new), owner: Owner::default(), show })
    }

    fn difference(outcome: Outcome) -> Difference {
        match outcome {
            Outcome::Changed(difference) | Outcome::WouldChange(difference) => difference,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_is_written_changed_and_then_left_alone() {
        let bench = Bench::new();
        fs::create_dir(bench.real("/etc")).unwrap();
        bench.assert_converges(&desired(&bench, "a = 1\n", Some(0o640), Show::Text));
        assert_eq!((bench.text("/etc/x.toml").as_str(), bench.mode("/etc/x.toml")), ("a = 1\n", 0o640));
        let found = difference(bench.assert_converges(&desired(&bench, "a = 2\n", None, Show::Text)));
        assert_eq!(found.diff.as_deref(), Some("@@ -1,1 +1,1 @@\n-a = 1\n+a = 2"));
        assert_eq!(bench.mode("/etc/x.toml"), 0o640, "kept");
        bench.assert_converges(&desired(&bench, "a = 2\n", Some(0o600), Show::Text));
        bench.assert_converges(&desired(&bench, "", Some(0o600), Show::Text));
    }

    #[test]
    fn a_look_shows_the_same_diff_without_secrets() {
        let bench = Bench::new();
        bench.write("/etc/x.toml", "password = \"old-one\"\nport = 1\n");
        let show = Show::Masked(vec![Secret::new("new-one")]);
        let desired = desired(&bench, "password = \"new-one\"\nport = 2\n", None, show);
        let found = difference(bench.run(&desired, Mode::Check)).diff.unwrap();
        assert!(found.contains("+port = 2") && found.contains("-password = ****"), "{found}");
        assert!(!found.contains("-one"), "{found}");
    }

    #[test]
    fn keystore_is_never_shown_and_check_needs_no_folder() {
        let bench = Bench::new();
        let missing = desired(&bench, "x", None, Show::Nothing);
        assert!(matches!(bench.run(&missing, Mode::Check), Outcome::WouldChange(_)));
        assert!(bench.run(&missing, Mode::Apply).is_failure());
        bench.write("/etc/x.toml", "old");
        assert_eq!(difference(bench.run(&missing, Mode::Apply)).diff, None);
    }

    #[test]
    fn foreign_edit_is_overwritten_and_noted() {
        let bench = Bench::new();
        bench.write("/etc/x.toml", "not ours yet");
        let put_right = || edited::put_right(&bench.system, &AbsPath::parse("/etc/x.toml").unwrap()).unwrap();
        bench.assert_converges(&desired(&bench, "one", None, Show::Text));
        bench.assert_converges(&desired(&bench, "two", None, Show::Text));
        bench.write("/etc/x.toml", "# by hand\ntwo");
        let found = difference(bench.assert_converges(&desired(&bench, "two", None, Show::Text)));
        assert!(found.statements().iter().any(|item| item == "modified outside apim-deploy"), "{found:?}");
        assert_eq!(put_right(), None, "a comment says nothing");
        bench.write("/etc/x.toml", "two, by hand");
        bench.assert_converges(&desired(&bench, "two", None, Show::Text));
        assert!(put_right().is_some());
    }

    #[test]
    fn a_link_at_the_destination_is_refused() {
        let bench = Bench::new();
        bench.write("/etc/passwd", "root:x:0:0::/:/bin/sh\n");
        symlink("/etc/passwd", bench.real_itself("/etc/x.toml")).unwrap();
        for mode in [Mode::Check, Mode::Apply] {
            assert!(bench.run(&desired(&bench, "evil", None, Show::Text), mode).is_failure());
        }
        assert_eq!(bench.text("/etc/passwd"), "root:x:0:0::/:/bin/sh\n");
    }

    #[test]
    fn a_secret_file_is_never_readable_by_others_not_even_while_it_is_written() {
        let bench = Bench::new();
        bench.write("/etc/x.toml", "old");
        fs::set_permissions(bench.real("/etc/x.toml"), fs::Permissions::from_mode(0o644)).unwrap();
        bench.assert_converges(&desired(&bench, "secret", Some(0o600), Show::Nothing));
        assert_eq!(bench.mode("/etc/x.toml"), 0o600);
    }
}
