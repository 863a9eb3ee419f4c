//! Editing a text file that we do not own: read, compare, write atomically with owner and mode kept.

use apim_protocol::outcome::{Difference, Failure, Outcome};
use apim_protocol::value::{AbsPath, Sha256};

use crate::operation::support::diff::{Shown, diff};
use crate::operation::support::edited;
use crate::system::{Attributes, Bytes, System};

/// Files that we edit are small.
const LIMIT: u64 = 4 * 1024 * 1024;

/// A file as it is and as it should be.
pub(crate) struct Edit {
    /// The file's bytes; `None` when there is none.
    pub(crate) old: Option<Vec<u8>>,
    /// What it should hold.
    pub(crate) new: Vec<u8>,
    /// The part that is ours, as it was found; `None` when it was not there.
    pub(crate) found: Option<Vec<u8>>,
    /// The part that is ours, as it should be.
    pub(crate) ours: Vec<u8>,
}

/// Returns the file's bytes, or `None`; a missing file that must not be made is a failure only when it is to be written.
pub(crate) fn read(system: &System, path: &AbsPath) -> Result<Option<Vec<u8>>, Failure> {
    Ok(system.read(path, LIMIT)?)
}

/// Returns the difference that the edit makes, or `None`.
pub(crate) fn difference(edit: &Edit, path: &AbsPath, item: &str) -> Option<Difference> {
    if edit.old.as_deref().unwrap_or_default() == edit.new {
        return None;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let diff = diff(&text(edit.old.as_deref().unwrap_or_default()), &text(&edit.new), Shown::But(&[]));
    let place = if edit.old.is_none() { format!("{item} in the new file {path}") } else { item.to_owned() };
    Some(Difference { diff, ..Difference::one(place) })
}

/// Writes the edit; `part` names our part among others in the same file.
pub(crate) fn write(
    system: &System,
    path: &AbsPath,
    part: &str,
    edit: &Edit,
    difference: &Difference,
) -> Result<Outcome, Failure> {
    let mut difference = difference.clone();
    let state = system.state();
    let key =
        AbsPath::parse(&format!("{path}#{}", part.replace(['/', '.'], "_"))).unwrap_or_else(|_| path.clone());
    if let Some(found) = &edit.found
        && state.is_foreign_edit(&key, Sha256::of(found))?
    {
        difference.changes.push("modified outside apim-deploy".into());
        edited::note_put_right(system, path)?;
    }
    state.note_writing(&key, Sha256::of(&edit.ours))?;
    system.write(path, &Bytes::Memory(&edit.new), Attributes::default())?;
    state.note_written(&key, Sha256::of(&edit.ours))?;
    Ok(Outcome::Changed(difference))
}

/// Splits into lines, each with its ending.
pub(crate) fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Returns the line without its ending.
pub(crate) fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Makes sure that what is added begins on a line of its own.
pub(crate) fn end_line(bytes: &mut Vec<u8>) {
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
}

/// Says that the file is not there and may not be made.
pub(crate) fn missing(path: &AbsPath) -> Failure {
    Failure::new(format!("no file `{path}` to edit")).hint("create the file, or allow that it is created")
}
