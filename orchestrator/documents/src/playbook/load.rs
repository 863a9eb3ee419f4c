//! Loads playbooks, from a file or built in.

use super::builtin::BuiltIn;
use super::file;
use super::files::Files;
use super::model::{Play, Playbook};
use super::order;
use apim_product::yaml::{Mistakes, Span};

/// Reads the playbook `name`: a file's path, or the name of a built-in playbook.
///
/// # Errors
/// All errors in the playbook and its imports.
pub fn load(name: &str) -> Result<Playbook, Mistakes> {
    read(name, |files| file::playbook(name, &Span::flag("--playbook"), files))
}

/// Reads the built-in playbook `name`, even if a file has that name.
///
/// # Errors
/// When the playbook does not exist.
pub fn load_built_in(name: &str) -> Result<Playbook, Mistakes> {
    let Some(known) = BuiltIn::find(name) else { return load(name) };
    read(name, |files| {
        let name = files.begin_built_in(name, known);
        file::plays(&name, known.text, files)
    })
}

/// Parses a playbook's text. `name` is its path; imports are relative to its folder.
///
/// # Errors
/// All errors in the playbook and its imports.
pub fn parse(name: &str, text: &str) -> Result<Playbook, Mistakes> {
    read(name, |files| {
        files.begin(name);
        file::plays(name, text, files)
    })
}

fn read(name: &str, plays: impl FnOnce(&mut Files<'_>) -> Vec<Play>) -> Result<Playbook, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut files = Files::new(&mut mistakes);
    let plays = plays(&mut files);
    let Files { read, built_in, .. } = files;
    let playbook = Playbook { name: name.to_owned(), plays, files: read };
    if let Some(order) = built_in.and_then(|known| known.order)
        && mistakes.0.is_empty()
        && let Err(error) = order::check(&playbook, order)
    {
        mistakes.add(&Span::flag("--playbook"), error.to_string());
    }
    if mistakes.0.is_empty() { Ok(playbook) } else { Err(mistakes) }
}
