//! `upgrade --to VERSION`: overrides the version in the inventory. Checks that the upgrade is
//! possible and finds the places where the inventory names the current version.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::json;

use crate::app::exit::{Exit, Kind};
use crate::app::options::Files;
use crate::app::read;
use crate::app::release_changes::ReleaseChange;
use crate::report::{Look, remark, say};
use apim_product::Cluster;
use apim_product::release::Version;
use apim_product::yaml::{Mistakes, Span};

/// The target version of an upgrade.
pub(crate) struct Target {
    version: Version,
    /// Places where the inventory names another version, in file order, without duplicates.
    places: Vec<Place>,
}

/// A place in the inventory that names a version.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    version: String,
    span: Span,
}

impl Target {
    /// Checks that the nodes can be upgraded to `version` and overrides the inventory's version
    /// with it.
    pub(crate) fn set(files: &mut Files, version: &str) -> Result<Self, Exit> {
        let version = Version::parse(version).map_err(|error| {
            Exit::from_error(Kind::Usage, &error).hint("write the full version, such as --to 4.6.0")
        })?;
        let cluster = read::unchecked(files)?.cluster;
        let target = Self { places: places(&cluster, &version), version };
        target.refuse(&cluster)?;
        files.extra_vars.push(json!({"apim": {"version": target.version.to_string()}}).to_string());
        Ok(target)
    }

    fn refuse(&self, cluster: &Cluster) -> Result<(), Exit> {
        let Self { version, places } = self;
        let usage = |text: String, hint: &str| Err(Exit::new(Kind::Usage, text).hint(hint));
        if places.is_empty() {
            let text = format!("the inventory already names {version}; no host was contacted");
            return usage(text, "omit --to: `upgrade` uses the version in the inventory");
        }
        if let Some(node) = cluster.nodes().iter().find(|node| node.version.numbers() > version.numbers()) {
            let text = format!(
                "{version} is older than {}, the version of {} in the inventory; no host was contacted",
                node.version,
                node.words()
            );
            return usage(text, "`apim-deploy rollback` returns nodes to an earlier release");
        }
        let mut mistakes = Mistakes::default();
        let mut missing = BTreeSet::new();
        for node in cluster.nodes() {
            let (zip, digests) = (version.zip(node.role), &node.settings.distributions);
            if !digests.sha256.contains_key(&zip) && missing.insert(zip.clone()) {
                let what = format!("no SHA-256 for `{zip}`: digests by role apply to {} only", node.version);
                let hint =
                    format!("set `distributions: {{sha256: {{{zip}: …}}}}`; `sha256sum FILE` prints it");
                mistakes.add_hint(&digests.span, what, hint);
            }
        }
        if mistakes.0.is_empty() { Ok(()) } else { Err(mistakes.into()) }
    }

    /// Refuses a downgrade: a node runs a newer release than the target.
    pub(crate) fn refuse_downgrade(&self, changes: &[ReleaseChange]) -> Result<(), Exit> {
        let of = |release: &str| Version::parse(release.split('-').next().unwrap_or(release)).ok();
        let is_back = |one: &&ReleaseChange| {
            of(&one.moved.from).is_some_and(|from| from.numbers() > self.version.numbers())
        };
        let Some(ReleaseChange { title, moved, .. }) = changes.iter().find(is_back) else { return Ok(()) };
        let text =
            format!("{title} runs {}, which is newer than {}; no host was changed", moved.from, self.version);
        Err(Exit::new(Kind::Usage, text).hint("`apim-deploy rollback` returns nodes to an earlier release"))
    }

    /// Prints the lines of the inventory that name another version.
    pub(crate) fn report(&self, look: &Look) -> Result<(), Exit> {
        let to = self.version.to_string();
        for Place { version, span } in self.places.iter().filter(|_| look.json) {
            let file = span.file_name();
            say(&json!({"event": "version", "file": file, "line": span.line, "from": version, "to": to})
                .to_string())?;
        }
        if !look.json {
            let lines: Vec<String> = self.places.iter().map(|place| format!("\n  {place}")).collect();
            remark(&format!(
                "\nthe inventory names another version; change it to {to}, or the next apply returns the nodes to it:{}\n",
                lines.concat()
            ));
        }
        Ok(())
    }

    /// Writes the version into the inventory files; reports the places that could not be changed.
    pub(crate) fn write(&self, look: &Look) -> Result<(), Exit> {
        let mut left = Vec::new();
        let mut places: Vec<&Place> = self.places.iter().collect();
        // From the end of the file, so that earlier positions stay valid.
        places.sort_by_key(|place| std::cmp::Reverse((place.span.line, place.span.column)));
        for place in places {
            match place.write(&self.version.to_string()) {
                Ok(()) if look.json => {
                    let (file, line) = (place.span.file_name(), place.span.line);
                    say(&json!({"event": "version_written", "file": file, "line": line}).to_string())?;
                }
                Ok(()) => remark(&format!("{place}: changed to {}\n", self.version)),
                Err(why) => left.push(format!("\n  {place}: {why}")),
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let text = format!(
            "the nodes run {}, but some lines of the inventory could not be changed:{}",
            self.version,
            left.concat()
        );
        Err(Exit::new(Kind::Failed, text)
            .hint("change them by hand, or the next apply returns the nodes to the old version"))
    }
}

/// Why a version in a file cannot be replaced.
#[derive(Debug, thiserror::Error)]
enum WriteVersionError {
    #[error("it is not set in a file")]
    NotInAFile,
    #[error("cannot read it: {0}")]
    Read(io::Error),
    #[error("the version is not written literally")]
    NotLiteral,
    #[error("cannot write it: {0}")]
    Write(io::Error),
}

fn places(cluster: &Cluster, to: &Version) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for node in cluster.nodes().iter().filter(|node| node.version != *to) {
        let Some(named) = &node.settings.version else { continue };
        let place = Place { version: node.version.to_string(), span: named.span.clone() };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { version, span } = self;
        match span.file_name() {
            Some(file) => write!(f, "{file}:{} (version {version})", span.line),
            None => write!(f, "a flag or a template (version {version})"),
        }
    }
}

impl Place {
    /// Replaces the version; the rest of the file is unchanged.
    fn write(&self, to: &str) -> Result<(), WriteVersionError> {
        let path = self.span.file_name().map(Path::new).ok_or(WriteVersionError::NotInAFile)?;
        let text = fs::read_to_string(path).map_err(WriteVersionError::Read)?;
        let text = self.replaced(&text, to).ok_or(WriteVersionError::NotLiteral)?;
        // Follows symbolic links, replaces the file atomically and keeps its mode.
        let path = fs::canonicalize(path).map_err(WriteVersionError::Read)?;
        let write = || -> io::Result<()> {
            let folder = path.parent().unwrap_or(Path::new("/"));
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.as_file().set_permissions(fs::metadata(&path)?.permissions())?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(WriteVersionError::Write)
    }

    fn replaced(&self, text: &str, to: &str) -> Option<String> {
        let start =
            text.split_inclusive('\n').take(self.span.line.checked_sub(1)?).map(str::len).sum::<usize>();
        let (before, line) = text.split_at_checked(start)?;
        let at = line.char_indices().nth(self.span.column.checked_sub(1)?)?.0;
        let (lead, rest) = line.split_at_checked(at)?;
        // The scalar may be quoted.
        let quote = if rest.starts_with(['"', '\'']) { rest.get(..1)? } else { "" };
        let after = rest.strip_prefix(quote)?.strip_prefix(self.version.as_str())?;
        let ends = if quote.is_empty() {
            after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || matches!(c, ',' | '}'))
        } else {
            after.starts_with(quote)
        };
        ends.then(|| format!("{before}{lead}{quote}{to}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str, (line, column): (usize, usize)) -> Option<String> {
        let span = Span { line, column, ..Span::flag("i.yaml") };
        Place { version: "4.5.0".to_owned(), span }.replaced(text, "4.6.0")
    }

    #[test]
    fn only_the_version_scalar_is_replaced() {
        let text = "all:\n  vars:\n    apim: # ä 4.5.0\n      version: 4.5.0  # the version, 4.5.0\r\n      x: 4.5.0\n";
        let new = replaced(text, (4, 16)).expect("the version is found");
        assert_eq!(new, text.replacen("version: 4.5.0", "version: 4.6.0", 1));
        let quoted = "ä: {version: \"4.5.0\", b: 1}";
        assert_eq!(replaced(quoted, (1, 14)).as_deref(), Some("ä: {version: \"4.6.0\", b: 1}"));
        assert_eq!(replaced("version: '4.5.0'", (1, 10)).as_deref(), Some("version: '4.6.0'"));
        assert_eq!(replaced("version: 4.5.0", (1, 10)).as_deref(), Some("version: 4.6.0"));
    }

    #[test]
    fn other_scalars_are_not_replaced() {
        for (text, at) in [
            ("version: \"{{ it }}\"", (1, 10)),
            ("version: 4.5.01", (1, 10)),
            ("version: 4.5", (1, 10)),
            ("version: \"4.5.0", (1, 10)),
            ("version: 4.5.0", (1, 11)),
            ("version: 4.5.0", (3, 10)),
            ("version: 4.5.0", (0, 0)),
        ] {
            assert_eq!(replaced(text, at), None, "{text}");
        }
    }

    #[test]
    fn file_mode_and_symlink_are_kept() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("real.yaml"), folder.path().join("i.yaml"));
        fs::write(&path, "version: 4.5.0\n").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
        symlink(&path, &link).expect("a link");
        let source = apim_product::yaml::SourceFile { name: link.display().to_string(), text: String::new() };
        let span = Span { file: Some(std::sync::Arc::new(source)), line: 1, column: 10, length: 5 };
        Place { version: "4.5.0".to_owned(), span }.write("4.6.0").expect("changed");
        assert_eq!(fs::read_to_string(&path).expect("read"), "version: 4.6.0\n");
        assert_eq!(fs::metadata(&path).expect("it").permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).expect("it").is_symlink());
    }
}
