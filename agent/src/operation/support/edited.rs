//! Files that the agent wrote and that were edited since: which they are, and when they were overwritten, so that a service which may have
//! read the edited one is restarted.
//!
//! In a file whose name ends with `.toml`, lines that only comment, and empty ones, say nothing. More of its form is not looked at: to take two
//! texts for the same that are not would be worse than a restart.

use std::collections::BTreeMap;

use apim_protocol::value::{AbsPath, Sha256};
use serde::{Deserialize, Serialize};

use crate::probe::clock::Moment;
use crate::system::{System, SystemError};

/// Where this is kept.
const KEPT: &str = "edited.json";
/// Longer texts are edited when their digest says so.
const MAX_TEXT: u64 = 256 * 1024;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Edited {
    /// When an edited file was put right last.
    put_right: BTreeMap<AbsPath, Moment>,
    /// A digest of what our text says at a path.
    says: BTreeMap<AbsPath, Sha256>,
}

/// Says whether the file at `path` was edited since the agent wrote it, and no longer says the same.
///
/// # Errors
/// When the file or the state cannot be read.
pub(crate) fn says_otherwise(system: &System, path: &AbsPath) -> Result<bool, SystemError> {
    let Some(found) = system.digest(path)? else { return Ok(false) };
    if !system.state().is_foreign_edit(path, found)? {
        return Ok(false);
    }
    let Some(ours) = load(system)?.says.remove(path) else { return Ok(true) };
    let is_short = system.stat(path)?.is_some_and(|stat| stat.size <= MAX_TEXT);
    let found = if is_short { system.read(path, MAX_TEXT)? } else { None };
    Ok(found.and_then(|text| what_it_says(&text)) != Some(ours))
}

/// Records that the file at `path` was edited, and is overwritten now.
///
/// # Errors
/// When the state cannot be written.
pub(crate) fn note_put_right(system: &System, path: &AbsPath) -> Result<(), SystemError> {
    let mut edited = load(system)?;
    edited.put_right.insert(path.clone(), Moment::now());
    system.state().write(KEPT, &edited)
}

/// Returns when an edit of the file at `path` was last overwritten; a process that reads it later reads the managed content.
///
/// # Errors
/// When the state cannot be read.
pub(crate) fn put_right(system: &System, path: &AbsPath) -> Result<Option<Moment>, SystemError> {
    Ok(load(system)?.put_right.remove(path))
}

/// Notes what the text says that we write at `path`.
///
/// # Errors
/// When the state cannot be written.
pub(crate) fn note_text(system: &System, path: &AbsPath, text: &[u8]) -> Result<(), SystemError> {
    if !path.as_str().ends_with(".toml") {
        return Ok(());
    }
    let mut edited = load(system)?;
    let before = match what_it_says(text) {
        Some(says) => edited.says.insert(path.clone(), says) == Some(says),
        None => edited.says.remove(path).is_none(),
    };
    if before { Ok(()) } else { system.state().write(KEPT, &edited) }
}

fn load(system: &System) -> Result<Edited, SystemError> {
    Ok(system.state().read(KEPT)?.unwrap_or_default())
}

/// Returns a digest of the lines of a TOML text that say something; `None` where lines cannot be judged one by one: a string may go over
/// several, or the text contains characters that TOML does not allow.
fn what_it_says(text: &[u8]) -> Option<Sha256> {
    let text = std::str::from_utf8(text).ok()?;
    let is_strange = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains("\"\"\"") || text.contains("'''") || text.contains(is_strange) {
        return None;
    }
    let says_something = |line: &&str| {
        let line = line.trim_start_matches([' ', '\t']);
        !line.is_empty() && !line.starts_with('#')
    };
    let said: String = text.split('\n').filter(says_something).flat_map(|line| [line, "\n"]).collect();
    Some(Sha256::of(said.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::operation::testing::Bench;

    const OURS: &str = "# by us\n[server]\nhostname = \"a\"\nlist = [\n  1,\n]\n";

    fn written(bench: &Bench, name: &str) -> AbsPath {
        let path = AbsPath::parse(name).unwrap();
        bench.write(name, OURS);
        bench.system.state().note_written(&path, Sha256::of(OURS.as_bytes())).unwrap();
        note_text(&bench.system, &path, OURS.as_bytes()).unwrap();
        path
    }

    #[test]
    fn lines_that_only_comment_say_nothing_and_everything_else_does() {
        let bench = Bench::new();
        let path = written(&bench, "/a.toml");
        let is_edit = |text: &str| {
            fs::write(bench.real("/a.toml"), text).unwrap();
            says_otherwise(&bench.system, &path).unwrap()
        };
        assert!(!is_edit(OURS));
        assert!(!is_edit(&format!("# mine\n\n{OURS}\t # and \"this\"\n")));
        assert!(!is_edit(&OURS.replace("  1,", "  # one\n  1,")), "in a list as well");
        assert!(!is_edit(&OURS.replace("# by us\n", "")));
        for other in [
            OURS.replace("\"a\"", "\"b\""),
            OURS.replace("hostname", "#hostname"),
            OURS.replace("hostname", "x = \"\"\"\n# no comment\n\"\"\"\nhostname"),
            format!("x = '''\n# no comment\n'''\n{OURS}"),
            format!("# a bell \u{7}\n{OURS}"),
            format!("{OURS}x = 1\n"),
            String::new(),
        ] {
            assert!(is_edit(&other), "{other}");
        }
        fs::write(bench.real("/a.toml"), [b"# \xff\n", OURS.as_bytes()].concat()).unwrap();
        assert!(says_otherwise(&bench.system, &path).unwrap(), "no text");
        fs::write(bench.real("/a.toml"), format!("{}{OURS}", "#\n".repeat(200_000))).unwrap();
        assert!(says_otherwise(&bench.system, &path).unwrap(), "too long to be judged");
    }

    #[test]
    fn what_another_file_says_is_not_known() {
        let bench = Bench::new();
        let path = written(&bench, "/a.env");
        fs::write(bench.real("/a.env"), format!("# mine\n{OURS}")).unwrap();
        assert!(says_otherwise(&bench.system, &path).unwrap());
        let never_ours = AbsPath::parse("/b.toml").unwrap();
        bench.write("/b.toml", OURS);
        assert!(!says_otherwise(&bench.system, &never_ours).unwrap());
    }

    #[test]
    fn a_text_that_cannot_be_judged_takes_the_place_of_one_that_could() {
        let bench = Bench::new();
        let path = written(&bench, "/a.toml");
        let text = format!("x = '''\n#\n'''\n{OURS}");
        bench.system.state().note_written(&path, Sha256::of(text.as_bytes())).unwrap();
        note_text(&bench.system, &path, text.as_bytes()).unwrap();
        fs::write(bench.real("/a.toml"), OURS).unwrap();
        assert!(says_otherwise(&bench.system, &path).unwrap());
    }
}
