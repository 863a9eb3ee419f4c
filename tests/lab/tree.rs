//! What lies below a folder, as text that two runs can be compared by: kind, mode, owner, digest or target of every entry.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use apim_protocol::value::Sha256;

/// Returns one line per entry below `root`, for each of `folders`, in order; entries that `skip` names are left out.
///
/// # Panics
/// When a folder cannot be read.
#[must_use]
pub fn describe(root: &Path, folders: &[&str], skip: &dyn Fn(&str) -> bool) -> String {
    let mut lines = String::new();
    for folder in folders {
        visit(root, Path::new(folder), skip, &mut lines);
    }
    lines
}

fn visit(root: &Path, name: &Path, skip: &dyn Fn(&str) -> bool, lines: &mut String) {
    let path = root.join(name);
    let shown = name.to_string_lossy();
    if skip(&shown) {
        return;
    }
    let Ok(about) = fs::symlink_metadata(&path) else {
        writeln!(lines, "{shown}: absent").expect("a text grows");
        return;
    };
    let owner = format!("{:04o} {}:{}", about.permissions().mode() & 0o7777, about.uid(), about.gid());
    if about.is_symlink() {
        let target = fs::read_link(&path).expect("a link's target");
        writeln!(lines, "{shown}: link to {}", target.display()).expect("a text grows");
    } else if about.is_dir() {
        writeln!(lines, "{shown}/: {owner}").expect("a text grows");
        let mut names: Vec<_> = fs::read_dir(&path)
            .unwrap_or_else(|error| panic!("{} cannot be listed: {error}", path.display()))
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        for entry in names {
            visit(root, &name.join(entry), skip, lines);
        }
    } else if about.is_file() {
        let bytes =
            fs::read(&path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
        writeln!(lines, "{shown}: {owner} {} bytes {}", bytes.len(), Sha256::of(&bytes).short())
            .expect("a text grows");
    } else {
        writeln!(lines, "{shown}: {owner} special").expect("a text grows");
    }
}

/// Asserts that two descriptions are the same.
///
/// # Panics
/// When they are not; shows the lines that differ, up to twenty.
#[track_caller]
pub fn assert_same(expected: &str, found: &str, what: &str) {
    if expected == found {
        return;
    }
    let (left, right): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let missing = left.iter().filter(|line| !right.contains(line)).map(|line| format!("- {line}"));
    let extra = right.iter().filter(|line| !left.contains(line)).map(|line| format!("+ {line}"));
    let lines: Vec<_> = missing.chain(extra).take(20).collect();
    panic!("{what}: the tree is not the one of an undisturbed run:\n{}", lines.join("\n"));
}
