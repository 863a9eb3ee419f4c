//! Loads playbooks, from a file or built in, and their imports.

use std::path::{Path, PathBuf};

use super::builtin::{BUILT_IN, BuiltIn};
use super::file;
use super::model::Playbook;
use super::order;
use apim_product::yaml::{self, Mistakes, Span, nearest};

/// Maximum depth of imports.
const DEPTH: usize = 16;
/// Prefix of built-in playbooks in messages.
const INSIDE: &str = "built-in ";

/// Reads the playbook `name`: a file's path, or the name of a built-in playbook.
///
/// # Errors
/// All errors in the playbook and its imports.
pub fn load(name: &str) -> Result<Playbook, Mistakes> {
    read(name, |files| files.playbook(name, &Span::flag("--playbook")))
}

/// Reads the built-in playbook `name`, even if a file has that name.
///
/// # Errors
/// When there is no such playbook.
pub fn load_built_in(name: &str) -> Result<Playbook, Mistakes> {
    let Some(known) = BuiltIn::find(name) else { return load(name) };
    read(name, |files| {
        files.built_in = Some(known);
        files.open.push(inside_name(name));
        files.plays(&inside_name(name), known.text)
    })
}

/// Parses a playbook's text. `name` is its path; imports are relative to its folder.
///
/// # Errors
/// All errors in the playbook and its imports.
pub fn parse(name: &str, text: &str) -> Result<Playbook, Mistakes> {
    read(name, |files| {
        files.open.push(name.to_owned());
        files.plays(name, text)
    })
}

fn read(name: &str, plays: impl FnOnce(&mut Files<'_>) -> Vec<super::Play>) -> Result<Playbook, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut files = Files { mistakes: &mut mistakes, open: Vec::new(), read: Vec::new(), built_in: None };
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

/// The stack of files being read, outermost first, and the errors found.
pub(super) struct Files<'a> {
    pub(super) mistakes: &'a mut Mistakes,
    open: Vec<String>,
    /// The files read so far.
    read: Vec<PathBuf>,
    /// The outermost playbook, if it is built in.
    built_in: Option<&'static BuiltIn>,
}

impl Files<'_> {
    /// Returns the plays of the playbook `name`, which is referenced at `span`.
    pub(super) fn playbook(&mut self, name: &str, span: &Span) -> Vec<super::Play> {
        let Some((name, text)) = self.text(name, span, true) else { return Vec::new() };
        let Some(()) = self.enter(&name, span) else { return Vec::new() };
        let plays = self.plays(&name, &text);
        self.open.pop();
        plays
    }

    fn plays(&mut self, name: &str, text: &str) -> Vec<super::Play> {
        match yaml::parse(name, text) {
            Ok(node) => file::plays(&node, self),
            Err(found) => {
                self.mistakes.0.extend(found.0);
                Vec::new()
            }
        }
    }

    /// Returns the list of tasks in the file `name`, which is referenced at `span`. Call
    /// [`Files::leave`] afterwards.
    pub(super) fn tasks(&mut self, name: &str, span: &Span) -> Option<yaml::Node> {
        let (name, text) = self.text(name, span, false)?;
        self.enter(&name, span)?;
        match yaml::parse(&name, &text) {
            Ok(node) => Some(node),
            Err(found) => {
                self.mistakes.0.extend(found.0);
                self.open.pop();
                None
            }
        }
    }

    /// Ends the reading of an imported task file.
    pub(super) fn leave(&mut self) {
        self.open.pop();
    }

    fn enter(&mut self, name: &str, span: &Span) -> Option<()> {
        if self.open.iter().any(|open| open == name) || self.open.len() >= DEPTH {
            let path = self.open.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(" > ");
            self.mistakes.add_hint(span, format!("import cycle: {path}"), "remove one of the imports");
            return None;
        }
        self.open.push(name.to_owned());
        Some(())
    }

    /// Searches the folder of the importing file, then the built-in playbooks.
    fn text(&mut self, name: &str, span: &Span, is_playbook: bool) -> Option<(String, String)> {
        let inside = span.file_name().and_then(|file| file.strip_prefix(INSIDE));
        let path = resolve(name, span);
        if inside.is_none() && path.exists() && !path.is_dir() {
            return match yaml::read_text(&path, yaml::FILE_BYTES as u64) {
                Ok(text) => {
                    let name = path.display().to_string();
                    self.read.push(path);
                    Some((name, text))
                }
                Err(error) => {
                    self.mistakes.add(span, format!("cannot read `{}`: {error}", path.display()));
                    None
                }
            };
        }
        if let Some(known) = BuiltIn::find(name).filter(|_| is_playbook) {
            if self.open.is_empty() {
                self.built_in = Some(known);
            }
            return Some((inside_name(name), known.text.to_owned()));
        }
        let known = BUILT_IN.iter().map(|known| known.name);
        let hint = match nearest(name, known.clone()).filter(|_| is_playbook) {
            Some(near) => format!("did you mean the built-in `{near}`?"),
            None if is_playbook => format!("built-in playbooks: {}", known.collect::<Vec<_>>().join(", ")),
            None => "a relative path starts at the folder of this file".to_owned(),
        };
        self.mistakes.add_hint(span, format!("file not found: `{}`", path.display()), hint);
        None
    }
}

/// Returns the name of a built-in playbook for messages.
fn inside_name(name: &str) -> String {
    format!("{INSIDE}{}", name.trim_start_matches("./"))
}

/// Returns the path `name`. A relative path starts at the folder of the file that contains it.
pub(super) fn resolve(name: &str, span: &Span) -> PathBuf {
    let folder =
        span.file_name().filter(|file| !file.starts_with(INSIDE)).and_then(|file| Path::new(file).parent());
    folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
}
